/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_TESTS_GATEWAY_PEER_H
#define KW_TESTS_GATEWAY_PEER_H

/* What the world's clock drives: clients, and the plain agent of the back end `rtp`. */

#include "gateway/world.h"

void *world_aligned(size_t size);
void peer_receive(struct world *world, struct peer *peer, struct net_datagram *packet);
/* What is due now. */
void peer_turn(struct world *world, struct peer *peer);
void agent_receive(struct world *world, struct net_datagram *packet);

#endif
