/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM for one short packet, written once for both x86 kernels. The including file has defined
 * a vector of LANES blocks:
 *
 *     vec                         the type
 *     vec_reverse, vec_aesenc, vec_aesenclast
 *     vec_clmul(a, b, parts)      carry-less product in each lane
 *     vec_swap(v)                 the halves of each block exchanged
 *     vec_spread(x)               x in every lane
 *     vec_low(x)                  x in lane 0, zero elsewhere
 *     vec_last(x, y)              x in the last lane, y in lane 0 if there are two
 *     vec_get_first(v), vec_get_last(v)
 *     vec_lane_numbers()          0, or 0 and 1
 *     vec_fold(v)                 XOR of the lanes
 *
 * A packet is a run of strides of 8 blocks and a tail. The tail holds whatever is left, the block
 * of lengths for GHASH, and the counter block of the tag for AES; it exists once for each number of
 * blocks, with everything unrolled. A voice packet (10 blocks) under AES-128 is nothing but a tail.
 *
 * GHASH enters with the last block of the AAD still to be multiplied (`pending`), so that it costs
 * a product but no reduction of its own. Branches depend on lengths only.
 */

enum {
    BLOCK = 16,
    STRIDE_BLOCKS = 8,
    STRIDE = STRIDE_BLOCKS * BLOCK,
    STRIDE_VECTORS = STRIDE_BLOCKS / LANES,
    TAIL_MAX = 11, /* blocks: POWERS_128 less one for `pending`, one for the lengths */
};

_Static_assert(TAIL_MAX == POWERS_128 - 2, "one group reaches over the whole tail");

/* LANES blocks, unaligned. */
KERNEL_INLINE vec vec_load(const void *from)
{
    vec v;

    memcpy(&v, from, sizeof v);
    return v;
}

KERNEL_INLINE void vec_store(uint8_t *to, vec v)
{
    memcpy(to, &v, sizeof v);
}

/* Four sums of 32 bits in each block. */
KERNEL_INLINE vec vec_add32(vec a, vec b)
{
    typedef uint32_t words __attribute__((vector_size(sizeof(vec))));

    return (vec)((words)a + (words)b);
}

/*
 * An unreduced sum of products, by Karatsuba: three carry-less products instead of four, because
 * they are what GHASH waits for. middle is the sum of (a0 + a1)(b0 + b1), so low and high are still
 * to be taken out of it.
 */
struct sum {
    vec low, middle, high;
};

struct gcm_run {
    const struct kw_gcm_key *key;
    uint8_t *at;
    size_t left;
    vec counter; /* reversed: next LANES counter blocks */
    __m128i tag_counter;
    __m128i hash;    /* reversed: state of GHASH */
    bool is_pending; /* hash has not been multiplied by H since its last block came in */
    __m128i lengths; /* reversed: the last block of GHASH */
};

KERNEL_INLINE void sum_add(struct sum *sum, vec blocks, vec powers)
{
    vec blocks_mixed = blocks ^ vec_swap(blocks);
    vec powers_mixed = powers ^ vec_swap(powers);

    sum->low ^= vec_clmul(blocks, powers, 0x00);
    sum->high ^= vec_clmul(blocks, powers, 0x11);
    sum->middle ^= vec_clmul(blocks_mixed, powers_mixed, 0x00);
}

KERNEL_INLINE struct sum sum_start(void)
{
    vec zero = vec_low(_mm_setzero_si128());

    return (struct sum){zero, zero, zero};
}

KERNEL_INLINE __m128i sum_reduce(const struct sum *sum)
{
    __m128i low = vec_fold(sum->low), high = vec_fold(sum->high);
    __m128i middle = _mm_xor_si128(vec_fold(sum->middle), _mm_xor_si128(low, high));

    return reduce_parts(low, middle, high);
}

/* Starts a group of `count` blocks: what came before is multiplied now or goes into block one. */
KERNEL_INLINE __m128i sum_enter(struct sum *sum, const struct gcm_run *run, int count)
{
    if (!run->is_pending)
        return run->hash;
    sum_add(sum, vec_low(run->hash), vec_low(*key_power(run->key, count + 1)));
    return _mm_setzero_si128();
}

KERNEL_INLINE vec next_counter(struct gcm_run *run)
{
    vec block = vec_reverse(run->counter);

    run->counter = vec_add32(run->counter, vec_spread(_mm_set_epi32(0, 0, 0, LANES)));
    return block;
}

KERNEL_INLINE void encrypt_vectors(const struct kw_gcm_key *key, int rounds, vec *state, int count)
{
    const __m128i *round_keys = key_rounds(key);
    vec round_key = vec_spread(round_keys[0]);

    KERNEL_UNROLL
    for (int j = 0; j < count; j++)
        state[j] ^= round_key;
    KERNEL_UNROLL
    for (int i = 1; i < rounds; i++) {
        round_key = vec_spread(round_keys[i]);
        KERNEL_UNROLL
        for (int j = 0; j < count; j++)
            state[j] = vec_aesenc(state[j], round_key);
    }
    round_key = vec_spread(round_keys[rounds]);
    KERNEL_UNROLL
    for (int j = 0; j < count; j++)
        state[j] = vec_aesenclast(state[j], round_key);
}

/* One vector of a stride into the sum; `before` goes into block one. */
KERNEL_INLINE void hash_vector(struct sum *sum, const struct gcm_run *run, const uint8_t *stride,
                               __m128i before, int j)
{
    vec in = vec_reverse(vec_load(stride + j * LANES * BLOCK));

    if (j == 0)
        in ^= vec_low(before);
    sum_add(sum, in, vec_load(key_power(run->key, STRIDE_BLOCKS - j * LANES)));
}

KERNEL_INLINE void hash_stride(struct gcm_run *run, const uint8_t *stride)
{
    struct sum sum = sum_start();
    __m128i before = sum_enter(&sum, run, STRIDE_BLOCKS);

    KERNEL_UNROLL
    for (int j = 0; j < STRIDE_VECTORS; j++)
        hash_vector(&sum, run, stride, before, j);
    run->hash = sum_reduce(&sum);
    run->is_pending = false;
}

/*
 * Eight whole blocks, while the ciphertext at `hashed` (this stride's when opening, the one before
 * when sealing; NULL: none) goes through GHASH: its products are put between the rounds of AES,
 * because the two use different units of the CPU and neither fills its own.
 */
KERNEL_INLINE void run_stride(struct gcm_run *run, int rounds, const uint8_t *hashed)
{
    const __m128i *round_keys = key_rounds(run->key);
    const int spacing = rounds / STRIDE_VECTORS > 0 ? rounds / STRIDE_VECTORS : 1;
    vec stream[STRIDE_VECTORS], round_key = vec_spread(round_keys[0]);
    struct sum sum = sum_start();
    __m128i before = _mm_setzero_si128();

    if (hashed != NULL)
        before = sum_enter(&sum, run, STRIDE_BLOCKS);
    KERNEL_UNROLL
    for (int j = 0; j < STRIDE_VECTORS; j++)
        stream[j] = next_counter(run) ^ round_key;
    KERNEL_UNROLL
    for (int i = 1; i < rounds; i++) {
        round_key = vec_spread(round_keys[i]);
        KERNEL_UNROLL
        for (int j = 0; j < STRIDE_VECTORS; j++)
            stream[j] = vec_aesenc(stream[j], round_key);
        if (hashed != NULL && i % spacing == 0 && i / spacing <= STRIDE_VECTORS)
            hash_vector(&sum, run, hashed, before, i / spacing - 1);
    }
    if (hashed != NULL) {
        KERNEL_UNROLL
        for (int j = (rounds - 1) / spacing; j < STRIDE_VECTORS; j++)
            hash_vector(&sum, run, hashed, before, j);
        run->hash = sum_reduce(&sum);
        run->is_pending = false;
    }
    round_key = vec_spread(round_keys[rounds]);
    KERNEL_UNROLL
    for (int j = 0; j < STRIDE_VECTORS; j++) {
        uint8_t *at = run->at + j * LANES * BLOCK;

        vec_store(at, vec_load(at) ^ vec_aesenclast(stream[j], round_key));
    }
    run->at += STRIDE;
    run->left -= STRIDE;
}

static const uint8_t tail_masks[2 * BLOCK] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                              0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* Ones for the bytes of the last block that exist. */
KERNEL_INLINE __m128i tail_mask(size_t left)
{
    return _mm_loadu_si128(
        (const __m128i *)(const void *)(tail_masks + (BLOCK - 1 - (left - 1) % BLOCK)));
}

/*
 * The last `blocks` blocks (a constant), the last one perhaps not whole. Returns the tag.
 *
 * Data fills whole vectors. What is left of it, if LANES is 2 and blocks is odd, shares a vector
 * with the tag's counter block in AES and with the block of lengths in GHASH.
 */
KERNEL_INLINE __m128i run_tail(struct gcm_run *run, int rounds, bool sealing, const int blocks)
{
    enum { VECTORS_MAX = TAIL_MAX / LANES + 1 };
    const int whole = blocks / LANES;
    const bool shares = blocks % LANES != 0;
    uint8_t *last_at = run->at + whole * LANES * BLOCK;
    __m128i mask = blocks != 0 ? tail_mask(run->left) : _mm_setzero_si128();
    vec stream[VECTORS_MAX], hashed[VECTORS_MAX];
    struct sum sum = sum_start();
    __m128i before = sum_enter(&sum, run, blocks + 1);
    __m128i last_in = _mm_setzero_si128(), last_out;

    KERNEL_UNROLL
    for (int j = 0; j < whole; j++)
        stream[j] = next_counter(run);
    stream[whole] = vec_last(run->tag_counter, vec_get_first(next_counter(run)));
    encrypt_vectors(run->key, rounds, stream, whole + 1);

    KERNEL_UNROLL
    for (int j = 0; j < whole; j++) {
        vec in = vec_load(run->at + j * LANES * BLOCK);
        vec out = in ^ stream[j];

        if (j == whole - 1 && !shares) {
            in &= vec_last(mask, _mm_set1_epi8(-1));
            out &= vec_last(mask, _mm_set1_epi8(-1));
        }
        vec_store(run->at + j * LANES * BLOCK, out);
        hashed[j] = vec_reverse(sealing ? out : in);
    }
    if (shares) {
        last_in = _mm_and_si128(_mm_loadu_si128((const __m128i *)(const void *)last_at), mask);
        last_out = _mm_and_si128(_mm_xor_si128(last_in, vec_get_first(stream[whole])), mask);
        _mm_storeu_si128((__m128i *)(void *)last_at, last_out);
        last_in = reverse_bytes(sealing ? last_out : last_in);
    }

    if (shares)
        hashed[whole] = vec_last(run->lengths, last_in);
    else
        hashed[whole] = vec_low(run->lengths);
    hashed[0] ^= vec_low(before);
    KERNEL_UNROLL
    for (int j = 0; j < whole; j++)
        sum_add(&sum, hashed[j], vec_load(key_power(run->key, blocks + 1 - j * LANES)));
    if (shares)
        sum_add(&sum, hashed[whole], vec_load(key_power(run->key, LANES)));
    else
        sum_add(&sum, hashed[whole], vec_low(*key_power(run->key, 1)));
    return _mm_xor_si128(reverse_bytes(sum_reduce(&sum)), vec_get_last(stream[whole]));
}

/* With 9 powers there is no tail of more than 8 blocks. */
KERNEL_INLINE __m128i run_any_tail(struct gcm_run *run, int rounds, int powers, bool sealing)
{
    const bool is_long = powers == POWERS_128;

    switch ((run->left + BLOCK - 1) / BLOCK) {
    case 0:
        return run_tail(run, rounds, sealing, 0);
    case 1:
        return run_tail(run, rounds, sealing, 1);
    case 2:
        return run_tail(run, rounds, sealing, 2);
    case 3:
        return run_tail(run, rounds, sealing, 3);
    case 4:
        return run_tail(run, rounds, sealing, 4);
    case 5:
        return run_tail(run, rounds, sealing, 5);
    case 6:
        return run_tail(run, rounds, sealing, 6);
    case 7:
        return run_tail(run, rounds, sealing, 7);
    case 8:
        return run_tail(run, rounds, sealing, 8);
    case 9:
        return run_tail(run, rounds, sealing, is_long ? 9 : 8);
    case 10:
        return run_tail(run, rounds, sealing, is_long ? 10 : 8);
    default:
        return run_tail(run, rounds, sealing, is_long ? 11 : 8);
    }
}

/* Block `n` of the AAD, the last one padded with zeros. */
KERNEL_INLINE __m128i aad_block(const struct kw_packet *packet, size_t n)
{
    size_t left = packet->aad_len - n * BLOCK;
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(packet->aad + n * BLOCK));

    if (left < BLOCK)
        block = _mm_and_si128(block, tail_mask(left));
    return reverse_bytes(block);
}

KERNEL_INLINE struct gcm_run run_start(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    struct gcm_run run = {
        .key = key,
        .at = packet->body,
        .left = packet->body_len,
        .hash = _mm_setzero_si128(),
        .is_pending = true,
    };
    __m128i counter;
    uint64_t first, second;

    /* Two loads: the caller wrote the nonce as two words, and a wider load would wait for both. */
    memcpy(&first, packet->iv, 8);
    memcpy(&second, packet->iv + 8, 8);
    /* SP 800-38D, section 7.1: J0 = IV || 0^31 1; the first block of the body has J0 + 1. */
    second = (second & 0xffffffff) | UINT64_C(1) << 56;
    run.tag_counter = _mm_set_epi64x((long long)second, (long long)first);
    counter = _mm_add_epi32(reverse_bytes(run.tag_counter), _mm_set_epi32(0, 0, 0, 1));
    run.counter = vec_add32(vec_spread(counter), vec_lane_numbers());
    run.lengths =
        _mm_set_epi64x((long long)(packet->aad_len * 8), (long long)(packet->body_len * 8));

    if (packet->aad_len != 0) {
        size_t last = (packet->aad_len - 1) / BLOCK;

        for (size_t n = 0; n < last; n++)
            run.hash = multiply(_mm_xor_si128(run.hash, aad_block(packet, n)), *key_power(key, 1));
        run.hash = _mm_xor_si128(run.hash, aad_block(packet, last));
    }
    return run;
}

/*
 * How many blocks one tail takes: with 9 powers a tail of 8 blocks and the lengths leaves no power
 * for `pending`, which is then multiplied by itself.
 */
KERNEL_INLINE __m128i run_crypt(struct gcm_run *run, int rounds, int powers, bool sealing)
{
    const size_t tail_max = powers == POWERS_128 ? TAIL_MAX * BLOCK : STRIDE - 1;

    if (!sealing) {
        while (run->left > tail_max)
            run_stride(run, rounds, run->at);
    } else if (run->left > tail_max) {
        run_stride(run, rounds, NULL);
        while (run->left > tail_max)
            run_stride(run, rounds, run->at - STRIDE);
        hash_stride(run, run->at - STRIDE);
    }
    if (powers != POWERS_128 && run->is_pending && run->left > (STRIDE_BLOCKS - 1) * BLOCK) {
        run->hash = multiply(run->hash, *key_power(run->key, 1));
        run->is_pending = false;
    }
    return run_any_tail(run, rounds, powers, sealing);
}

/* GHASH only: nothing is decrypted, nothing written. */
KERNEL_INLINE __m128i run_hash(struct gcm_run *run, int rounds)
{
    __m128i hash;

    for (; run->left >= STRIDE; run->left -= STRIDE, run->at += STRIDE)
        hash_stride(run, run->at);
    hash = run->hash;
    if (run->is_pending)
        hash = multiply(hash, *key_power(run->key, 1));
    for (; run->left > 0; run->at += BLOCK) {
        __m128i in = _mm_loadu_si128((const __m128i *)(const void *)run->at);

        if (run->left < BLOCK)
            in = _mm_and_si128(in, tail_mask(run->left));
        hash = multiply(_mm_xor_si128(hash, reverse_bytes(in)), *key_power(run->key, 1));
        run->left -= run->left < BLOCK ? run->left : BLOCK;
    }
    hash = multiply(_mm_xor_si128(hash, run->lengths), *key_power(run->key, 1));
    return _mm_xor_si128(reverse_bytes(hash), encrypt_block(run->key, rounds, run->tag_counter));
}

/* What the constant-time test is told to be public. */
#ifndef KW_GCM_REVEAL
#define KW_GCM_REVEAL(mem, len) ((void)0)
#endif

/* Equal in a time that depends on nothing; the answer itself is public. */
KERNEL_INLINE bool same_tag(__m128i a, __m128i b)
{
    bool same = _mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) == 0xffff;

    KW_GCM_REVEAL(&same, sizeof same);
    return same;
}

KERNEL_INLINE enum kw_verdict gcm_seal(const struct kw_gcm_key *key, const struct kw_packet *packet,
                                       int rounds, int powers)
{
    struct gcm_run run = run_start(key, packet);
    __m128i tag = run_crypt(&run, rounds, powers, true);

    _mm_storeu_si128((__m128i *)(void *)packet->tag, tag);
    return KW_ACCEPT;
}

KERNEL_INLINE enum kw_verdict gcm_open(const struct kw_gcm_key *key, const struct kw_packet *packet,
                                       int rounds, int powers)
{
    /* Before anything is written: the room behind the body is where the tag usually is. */
    __m128i tag = _mm_loadu_si128((const __m128i *)(const void *)packet->tag);
    struct gcm_run run = run_start(key, packet);

    if (same_tag(tag, run_crypt(&run, rounds, powers, false)))
        return KW_ACCEPT;
    kw_wipe(packet->body, packet->body_len);
    return KW_DROP_FORGED;
}

KERNEL_INLINE enum kw_verdict gcm_verify(const struct kw_gcm_key *key,
                                         const struct kw_packet *packet, int rounds)
{
    __m128i tag = _mm_loadu_si128((const __m128i *)(const void *)packet->tag);
    struct gcm_run run = run_start(key, packet);

    return same_tag(tag, run_hash(&run, rounds)) ? KW_ACCEPT : KW_DROP_FORGED;
}

static enum kw_verdict seal_128(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_seal(key, packet, ROUNDS_128, POWERS_128);
}

static enum kw_verdict open_128(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_open(key, packet, ROUNDS_128, POWERS_128);
}

static enum kw_verdict verify_128(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_verify(key, packet, ROUNDS_128);
}

static enum kw_verdict seal_256(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_seal(key, packet, ROUNDS_256, POWERS_256);
}

static enum kw_verdict open_256(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_open(key, packet, ROUNDS_256, POWERS_256);
}

static enum kw_verdict verify_256(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_verify(key, packet, ROUNDS_256);
}

#define KERNEL_ROWS                                                                                \
    {                                                                                              \
        {KW_SRTP_AEAD_AES_128_GCM, x86_init_128, x86_deinit, seal_128, open_128, verify_128},      \
            {KW_SRTP_AEAD_AES_256_GCM, x86_init_256, x86_deinit, seal_256, open_256, verify_256},  \
    }
