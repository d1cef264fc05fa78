/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent is a table of at most eight pairs and a ring of answers. A pair lives under one epoch,
 * that is under one set of credentials; an ICE restart opens the next epoch and leaves the old
 * pairs where they are until a pair of the new epoch is validated and nominated.
 *
 * A pair's way: an authenticated request makes it known (authenticated), our own check answered
 * makes it usable (validated), USE-CANDIDATE makes it eligible (nominated). Media goes to the best
 * eligible pair of the newest epoch that has one. Nothing unauthenticated moves any of this.
 */
#include "ice/agent.h"

#include "base/assert.h"

size_t kw_ice_size(void)
{
    return sizeof(struct kw_ice);
}

struct kw_bytes kw_ice_text(const char *terminated)
{
    struct kw_bytes text = {(const uint8_t *)terminated, 0};

    while (terminated[text.len] != '\0')
        text.len++;
    return text;
}

void kw_ice_stamp(struct kw_ice *ice, kw_ns now)
{
    KW_ASSERT(now >= ice->now);
    ice->now = now;
}

/* RFC 8839 section 5.4: ice-char has 64 members, so six random bits make one. */
static void to_text(const uint8_t *random, size_t len, char *dst)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i++)
        dst[i] = alphabet[random[i] & 63];
    dst[len] = '\0';
}

enum kw_status kw_ice_credentials_draw(const struct kw_random *random,
                                       struct kw_ice_credentials *ret)
{
    uint8_t bytes[32];
    enum kw_status status = kw_random_fill(random, bytes, sizeof bytes);

    if (status != KW_OK)
        return status;
    memset(ret, 0, sizeof *ret);
    to_text(bytes, 8, ret->ufrag);
    to_text(bytes + 8, 24, ret->pwd);
    kw_wipe(bytes, sizeof bytes);
    return KW_OK;
}

enum kw_status kw_ice_init(void *mem, const struct kw_ice_params *params, kw_ns now,
                           struct kw_ice **ret)
{
    struct kw_ice *ice = mem;
    uint8_t tie_breaker[8];
    enum kw_status status;

    KW_ASSERT((uintptr_t)mem % _Alignof(struct kw_ice) == 0);
    if (params->local.ufrag[0] == '\0' || params->local.pwd[0] == '\0' ||
        params->remote.ufrag[0] == '\0' || params->remote.pwd[0] == '\0')
        return KW_ERR_INPUT;
    status = kw_random_fill(params->random, tie_breaker, sizeof tie_breaker);
    if (status != KW_OK)
        return status;

    memset(ice, 0, sizeof *ice);
    ice->crypto = params->crypto;
    ice->random = params->random;
    ice->lite = !params->controlling;
    ice->controlling = params->controlling;
    memcpy(&ice->tie_breaker, tie_breaker, sizeof tie_breaker);
    ice->started_at = now;
    ice->now = now;
    ice->paced_at = now;
    ice->epoch = 1;
    ice->local[1] = params->local;
    ice->remote[1] = params->remote;
    *ret = ice;
    return KW_OK;
}

void kw_ice_deinit(struct kw_ice *ice)
{
    if (ice != NULL)
        kw_wipe(ice, sizeof *ice);
}

/* ---- the table of pairs ---------------------------------------------------------------------- */

struct pair *kw_ice_pair_find(struct kw_ice *ice, const struct kw_path *path, uint32_t epoch)
{
    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        if (ice->pairs[i].epoch == epoch && kw_path_equal(&ice->pairs[i].path, path))
            return &ice->pairs[i];
    }
    return NULL;
}

/* Of several epochs on one 5-tuple, a validated one speaks for it, else the newest. */
static struct pair *pair_of_path(struct kw_ice *ice, const struct kw_path *path)
{
    struct pair *found = NULL;

    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        struct pair *pair = &ice->pairs[i];

        if (pair->epoch == 0 || !kw_path_equal(&pair->path, path))
            continue;
        if (found == NULL || (pair->validated && !found->validated) ||
            (pair->validated == found->validated && pair->epoch > found->epoch))
            found = pair;
    }
    return found;
}

/*
 * Free places first, then the oldest pair that is not validated, or of the old credentials and
 * without media. A validated pair of the newest epoch never gives way: it has cost a proof.
 */
static bool gives_way_before(const struct pair *a, const struct pair *b)
{
    if ((a->epoch == 0) != (b->epoch == 0))
        return a->epoch == 0;
    return a->seen_at < b->seen_at;
}

struct pair *kw_ice_pair_take(struct kw_ice *ice, const struct kw_path *path, uint32_t epoch,
                              kw_ns now)
{
    const struct pair *best = kw_ice_best(ice);
    struct pair *victim = NULL;

    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        struct pair *pair = &ice->pairs[i];

        if (pair == best || (pair->validated && pair->epoch == ice->epoch))
            continue;
        if (victim == NULL || gives_way_before(pair, victim))
            victim = pair;
    }
    if (victim != NULL)
        *victim = (struct pair){.path = *path, .epoch = epoch, .seen_at = now};
    return victim;
}

static bool is_alive(const struct kw_ice *ice, const struct pair *pair)
{
    return ice->now - pair->heard_at <= KW_ICE_ALIVE;
}

/* Newest epoch, then alive, then priority (RFC 8445 section 8.1.1), then the longer known. */
static bool is_better(const struct kw_ice *ice, const struct pair *a, const struct pair *b)
{
    bool a_alive = is_alive(ice, a), b_alive = is_alive(ice, b);

    if (a->epoch != b->epoch)
        return a->epoch > b->epoch;
    if (a_alive != b_alive)
        return a_alive;
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->seen_at < b->seen_at;
}

const struct pair *kw_ice_best(const struct kw_ice *ice)
{
    const struct pair *best = NULL;

    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        const struct pair *pair = &ice->pairs[i];

        if (pair->epoch != 0 && pair->validated && pair->nominated &&
            (best == NULL || is_better(ice, pair, best)))
            best = pair;
    }
    return best;
}

void kw_ice_settle(struct kw_ice *ice)
{
    const struct pair *best = kw_ice_best(ice);

    if (ice->old_epoch == 0 || best == NULL || best->epoch != ice->epoch)
        return;
    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        if (ice->pairs[i].epoch == ice->old_epoch)
            ice->pairs[i] = (struct pair){0};
    }
    kw_wipe(&ice->local[ice->old_epoch % 2], sizeof ice->local[0]);
    kw_wipe(&ice->remote[ice->old_epoch % 2], sizeof ice->remote[0]);
    ice->old_epoch = 0;
}

enum kw_status kw_ice_add_path(struct kw_ice *ice, const struct kw_path *path, uint32_t priority,
                               kw_ns now)
{
    struct pair *pair;

    kw_ice_stamp(ice, now);
    if (kw_ice_pair_find(ice, path, ice->epoch) != NULL)
        return KW_OK;
    pair = kw_ice_pair_take(ice, path, ice->epoch, now);
    if (pair == NULL)
        return KW_ERR_LIMIT;
    pair->priority = priority;
    kw_ice_check_trigger(ice, pair, now);
    return KW_OK;
}

/*
 * When the newest epoch has never carried media it is simply replaced; the older one, which does,
 * stays honoured.
 */
enum kw_status kw_ice_restart(struct kw_ice *ice, const struct kw_ice_credentials *local,
                              const struct kw_ice_credentials *remote, kw_ns now)
{
    uint32_t fresh = ice->epoch;

    kw_ice_stamp(ice, now);
    if (local->ufrag[0] == '\0' || local->pwd[0] == '\0' || remote->ufrag[0] == '\0' ||
        remote->pwd[0] == '\0')
        return KW_ERR_INPUT;
    if (ice->old_epoch != 0) {
        for (size_t i = 0; i < KW_ICE_PATHS; i++) {
            if (ice->pairs[i].epoch == ice->epoch)
                ice->pairs[i] = (struct pair){0};
        }
    } else {
        ice->old_epoch = ice->epoch;
        fresh = ++ice->epoch;
    }
    ice->local[fresh % 2] = *local;
    ice->remote[fresh % 2] = *remote;
    for (size_t i = 0; i < ice->answer_count; i++) {
        struct answer *answer = &ice->answers[(ice->answer_first + i) % KW_ICE_ANSWERS];

        if (answer->epoch == fresh)
            answer->epoch = 0; /* its password is gone: it would be unsigned, so it is not sent */
    }
    return KW_OK;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void put_answer(struct kw_ice *ice, const struct answer *answer)
{
    /* A stranger's request is answered only when no friend waits. */
    if (ice->answer_count == KW_ICE_ANSWERS || (answer->epoch == 0 && ice->answer_count != 0))
        return;
    ice->answers[(ice->answer_first + ice->answer_count++) % KW_ICE_ANSWERS] = *answer;
}

/* The epoch whose ufrag the request names; 0: none. RFC 8445 section 7.3: "ours:theirs". */
static uint32_t epoch_of_username(const struct kw_ice *ice, struct kw_bytes username)
{
    const uint32_t epochs[2] = {ice->epoch, ice->old_epoch};

    for (size_t i = 0; i < 2; i++) {
        struct kw_bytes ufrag;

        if (epochs[i] == 0)
            continue;
        ufrag = kw_ice_text(ice->local[epochs[i] % 2].ufrag);
        if (username.len > ufrag.len && username.data[ufrag.len] == ':' &&
            memcmp(username.data, ufrag.data, ufrag.len) == 0)
            return epochs[i];
    }
    return 0;
}

bool kw_ice_owns(const struct kw_ice *ice, struct kw_bytes ufrag)
{
    const uint32_t epochs[2] = {ice->epoch, ice->old_epoch};

    for (size_t i = 0; i < 2; i++) {
        struct kw_bytes own;

        if (epochs[i] == 0)
            continue;
        own = kw_ice_text(ice->local[epochs[i] % 2].ufrag);
        if (own.len == ufrag.len && memcmp(own.data, ufrag.data, own.len) == 0)
            return true;
    }
    return false;
}

/*
 * RFC 8445 section 7.3.1.1, role conflicts. True: answer 487. A lite agent is controlled whatever
 * the tie-breakers say (section 6.1.1), so it is always the peer that has to change.
 */
static bool conflicts(struct kw_ice *ice, const struct kw_stun_message *message)
{
    bool same_role = ice->controlling ? message->role == KW_STUN_CONTROLLING
                                      : message->role == KW_STUN_CONTROLLED;

    if (!same_role)
        return false;
    if (ice->lite)
        return true;
    if (ice->controlling == (ice->tie_breaker >= message->tie_breaker))
        return true;
    ice->controlling = !ice->controlling;
    return false;
}

static enum kw_verdict receive_authenticated(struct kw_ice *ice, const struct kw_path *path,
                                             const struct kw_stun_message *message, uint32_t epoch,
                                             size_t len, kw_ns now)
{
    struct pair *pair = kw_ice_pair_find(ice, path, epoch);

    if (pair == NULL) {
        pair = kw_ice_pair_take(ice, path, epoch, now);
        if (pair == NULL)
            return KW_DROP_LIMIT;
        pair->received = len;
        pair->priority = message->priority;
    }
    if (!ice->controlling)
        pair->priority = message->priority;
    pair->authenticated = true;
    pair->heard_at = now;
    if (message->use_candidate && !ice->controlling)
        pair->nominated = true; /* takes effect once it is validated */
    if (!pair->validated)
        kw_ice_check_trigger(ice, pair, now);
    kw_ice_settle(ice);
    return KW_ACCEPT;
}

static enum kw_verdict receive_request(struct kw_ice *ice, const struct kw_path *path,
                                       const uint8_t *datagram, size_t len,
                                       const struct kw_stun_message *message, kw_ns now)
{
    struct answer answer = {.path = *path};
    enum kw_verdict verdict;
    uint32_t epoch;

    memcpy(answer.transaction, message->transaction, sizeof answer.transaction);
    /* RFC 8489 section 9.1.3: 400 without the attributes, 401 with wrong ones. */
    if (message->username.data == NULL || message->integrity_at == 0) {
        answer.code = 400;
        put_answer(ice, &answer);
        return KW_DROP_FORGED;
    }
    epoch = epoch_of_username(ice, message->username);
    verdict = KW_DROP_FORGED;
    if (epoch != 0)
        verdict =
            kw_stun_verify(ice->crypto, datagram, message, kw_ice_text(ice->local[epoch % 2].pwd));
    if (verdict == KW_DROP_FORGED) {
        answer.code = 401;
        put_answer(ice, &answer);
    }
    if (verdict != KW_ACCEPT)
        return verdict;

    answer.epoch = epoch;
    if (message->unknown_count != 0) {
        answer.code = 420;
        answer.unknown_count = message->unknown_count;
        memcpy(answer.unknown, message->unknown, sizeof answer.unknown);
        verdict = KW_DROP_MALFORMED;
    } else if (!message->has_priority || message->role == KW_STUN_ROLE_NONE) {
        answer.code = 400; /* RFC 8445 section 7.1: a check MUST have both */
        verdict = KW_DROP_MALFORMED;
    } else if (conflicts(ice, message)) {
        answer.code = 487;
        verdict = KW_DROP_UNEXPECTED;
    } else {
        verdict = receive_authenticated(ice, path, message, epoch, len, now);
        if (verdict != KW_ACCEPT)
            return verdict;
    }
    put_answer(ice, &answer);
    return verdict;
}

enum kw_verdict kw_ice_receive(struct kw_ice *ice, const struct kw_path *path,
                               const uint8_t *datagram, size_t len, kw_ns now)
{
    struct kw_stun_message message;
    enum kw_verdict verdict = kw_stun_parse(datagram, len, &message);

    kw_ice_stamp(ice, now);
    kw_ice_note_received(ice, path, len);
    if (verdict != KW_ACCEPT)
        return verdict;

    switch (message.class) {
    case KW_STUN_REQUEST:
        return receive_request(ice, path, datagram, len, &message, now);
    case KW_STUN_SUCCESS:
    case KW_STUN_ERROR:
        return kw_ice_check_response(ice, path, datagram, &message, now);
    case KW_STUN_INDICATION:
        return KW_ACCEPT; /* a keepalive (RFC 8445 section 11): nothing to do, nothing to believe */
    }
    return KW_DROP_MALFORMED;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Takes the first answer off the ring and writes it; 0 when it cannot be signed any more. */
static size_t write_answer(struct kw_ice *ice, uint8_t *dst, size_t dst_size,
                           struct kw_path *path_ret)
{
    struct answer answer = ice->answers[ice->answer_first];
    struct kw_writer out = kw_writer_of(dst, dst_size);
    struct kw_bytes password = {NULL, 0};
    bool stranger = answer.code == 400 || answer.code == 401;

    ice->answer_first = (ice->answer_first + 1) % KW_ICE_ANSWERS;
    ice->answer_count--;
    if (answer.epoch != 0 && (answer.epoch == ice->epoch || answer.epoch == ice->old_epoch))
        password = kw_ice_text(ice->local[answer.epoch % 2].pwd);
    else if (!stranger)
        return 0;

    kw_stun_begin(&out, answer.code == 0 ? KW_STUN_SUCCESS : KW_STUN_ERROR, answer.transaction);
    if (answer.code == 0)
        kw_stun_write_mapped(&out, &answer.path.remote);
    else
        kw_stun_write_error(&out, answer.code);
    if (answer.unknown_count != 0)
        kw_stun_write_unknown(&out, answer.unknown, answer.unknown_count);
    *path_ret = answer.path;
    return kw_stun_finish(&out, ice->crypto, password);
}

static void charge(struct kw_ice *ice, const struct kw_path *path, size_t len)
{
    struct pair *pair = pair_of_path(ice, path);

    if (pair != NULL)
        pair->sent += len;
}

size_t kw_ice_transmit(struct kw_ice *ice, uint8_t *dst, size_t dst_size, struct kw_path *path_ret,
                       kw_ns now)
{
    size_t len = 0;

    kw_ice_stamp(ice, now);
    while (len == 0 && ice->answer_count != 0)
        len = write_answer(ice, dst, dst_size, path_ret);
    if (len == 0)
        len = kw_ice_check_write(ice, dst, dst_size, path_ret, now);
    if (len != 0)
        charge(ice, path_ret, len);
    return len;
}

void kw_ice_note_received(struct kw_ice *ice, const struct kw_path *path, size_t len)
{
    struct pair *pair = pair_of_path(ice, path);

    if (pair != NULL)
        pair->received += len;
}

bool kw_ice_may_send(struct kw_ice *ice, const struct kw_path *path, size_t len)
{
    struct pair *pair = pair_of_path(ice, path);

    if (pair == NULL)
        return false;
    if (pair->validated)
        return true;
    if (pair->sent + len > KW_ICE_AMPLIFICATION * pair->received)
        return false;
    pair->sent += len;
    return true;
}

/* ---- time ------------------------------------------------------------------------------------ */

kw_ns kw_ice_deadline(const struct kw_ice *ice)
{
    kw_ns deadline = ice->answer_count != 0 ? ice->now : KW_NEVER;

    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        const struct pair *pair = &ice->pairs[i];

        if (pair->epoch == 0)
            continue;
        if (pair->state != CHECK_IDLE)
            deadline = KW_MIN(deadline, KW_MAX(pair->next_at, ice->now));
        if (pair->validated)
            deadline = KW_MIN(deadline, pair->consent_at + KW_ICE_CONSENT_LOST);
    }
    return deadline;
}

/* RFC 7675 section 5.1: without consent for 30 s nothing more may be sent on a pair. */
void kw_ice_tick(struct kw_ice *ice, kw_ns now)
{
    kw_ice_stamp(ice, now);
    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        struct pair *pair = &ice->pairs[i];

        if (pair->epoch == 0 || !pair->validated || now - pair->consent_at < KW_ICE_CONSENT_LOST)
            continue;
        pair->validated = false;
        pair->nominated = false;
        pair->state = CHECK_IDLE;
        pair->received = 0;
        pair->sent = 0;
    }
}

/* ---- questions ------------------------------------------------------------------------------- */

static const struct pair *find_const(const struct kw_ice *ice, const struct kw_path *path,
                                     bool validated)
{
    for (size_t i = 0; i < KW_ICE_PATHS; i++) {
        const struct pair *pair = &ice->pairs[i];

        if (pair->epoch != 0 && kw_path_equal(&pair->path, path) &&
            (validated ? pair->validated : pair->authenticated))
            return pair;
    }
    return NULL;
}

bool kw_ice_knows(const struct kw_ice *ice, const struct kw_path *path)
{
    return find_const(ice, path, false) != NULL;
}

bool kw_ice_validated(const struct kw_ice *ice, const struct kw_path *path)
{
    return find_const(ice, path, true) != NULL;
}

bool kw_ice_selected(const struct kw_ice *ice, struct kw_path *ret)
{
    const struct pair *best = kw_ice_best(ice);

    if (best == NULL)
        return false;
    *ret = best->path;
    return true;
}

kw_ns kw_ice_rtt(const struct kw_ice *ice)
{
    const struct pair *best = kw_ice_best(ice);

    return best != NULL ? best->rtt : 0;
}

kw_ns kw_ice_consent(const struct kw_ice *ice)
{
    return ice->consent_at;
}

bool kw_ice_gone(const struct kw_ice *ice, kw_ns now)
{
    kw_ns since = KW_MAX(ice->consent_at, ice->started_at);

    return now >= since && now - since >= KW_ICE_CONSENT_LOST;
}
