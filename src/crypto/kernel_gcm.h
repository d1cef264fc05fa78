/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM for one short packet, written once for all x86 kernels. The including file has defined
 * a vector of LANES blocks:
 *
 *     vec                         the type
 *     vec_reverse, vec_aesenc, vec_aesenclast
 *     vec_clmul(a, b, parts)      carry-less product in each lane
 *     vec_swap(v)                 the halves of each block exchanged
 *     vec_spread(x)               x in every lane
 *     vec_low(x)                  x in lane 0, zero elsewhere
 *     vec_put(v, x, lane)         v with x in that lane
 *     vec_get(v, lane)
 *     vec_lane_numbers()          0, 1, ... as the lowest word of each lane
 *     vec_fold(v)                 XOR of the lanes
 *     vec_load_some(from, n)      n blocks (0..LANES), zero elsewhere
 *
 * and, for the vector with the end of a packet, whose last block is perhaps not whole:
 *
 *     cut                         a type that says which of its bytes exist
 *     cut_at(left, n)             n blocks, which end where the packet's last `left` bytes end
 *     cut_load(from, end, n), cut_store(to, v, end, n)
 *     cut_clear(v, end)           zero where there is nothing
 *
 * A packet is a run of strides of 8 blocks and a tail. The tail holds whatever is left, the block
 * of lengths for GHASH, and the counter block of the tag for AES; it exists once for each number of
 * blocks, with everything unrolled. A voice packet (10 blocks) under AES-128 is nothing but a tail.
 *
 * GHASH enters a tail with a product of its own: of what came before and the power that is its due.
 * So the last block of the AAD costs a product but no reduction. Branches depend on lengths only.
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
    __m128i due;     /* the power of H that hash is multiplied by in the tail */
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

/* Multiplied by H, so that it can go into the next block. */
KERNEL_INLINE void run_settle(struct gcm_run *run)
{
    if (run->is_pending)
        run->hash = multiply(run->hash, *key_power(run->key, 1));
    run->is_pending = false;
}

KERNEL_INLINE vec next_counter(struct gcm_run *run)
{
    vec block = vec_reverse(run->counter);

    run->counter = vec_add32(run->counter, vec_spread(_mm_set_epi32(0, 0, 0, LANES)));
    return block;
}

/* One vector of a stride into the sum; the hash so far goes into block one. */
KERNEL_INLINE void hash_vector(struct sum *sum, const struct gcm_run *run, const uint8_t *stride,
                               int j)
{
    vec in = vec_reverse(vec_load(stride + j * LANES * BLOCK));

    if (j == 0)
        in ^= vec_low(run->hash);
    sum_add(sum, in, vec_load(key_power(run->key, STRIDE_BLOCKS - j * LANES)));
}

KERNEL_INLINE void hash_stride(struct gcm_run *run, const uint8_t *stride)
{
    struct sum sum = sum_start();

    KERNEL_UNROLL
    for (int j = 0; j < STRIDE_VECTORS; j++)
        hash_vector(&sum, run, stride, j);
    run->hash = sum_reduce(&sum);
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
            hash_vector(&sum, run, hashed, i / spacing - 1);
    }
    if (hashed != NULL) {
        KERNEL_UNROLL
        for (int j = (rounds - 1) / spacing; j < STRIDE_VECTORS; j++)
            hash_vector(&sum, run, hashed, j);
        run->hash = sum_reduce(&sum);
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

/*
 * A tail as a row of blocks, `blocks` of data (a constant) and two more in each half:
 *
 *     AES      data (0 .. blocks - 1), counter of the tag
 *     GHASH    data (0 .. blocks - 1), lengths, hash of what came before
 *
 * The data's last vector is perhaps not full, and its last block perhaps not whole.
 */
struct tail {
    int blocks;
    int data;     /* vectors with data */
    int last;     /* blocks in the last one of them */
    int streams;  /* vectors for AES */
    int products; /* vectors for GHASH */
};

KERNEL_INLINE struct tail tail_of(const int blocks)
{
    const int data = (blocks + LANES - 1) / LANES;

    return (struct tail){
        .blocks = blocks,
        .data = data,
        .last = blocks - (data - 1) * LANES,
        .streams = blocks / LANES + 1,
        .products = (blocks + 1) / LANES + 1,
    };
}

/* Vector j for AES: counter blocks. */
KERNEL_INLINE vec tail_counters(struct gcm_run *run, struct tail tail, const int j)
{
    vec counters = j < tail.data ? next_counter(run) : vec_low(_mm_setzero_si128());

    if (j == tail.blocks / LANES)
        counters = vec_put(counters, run->tag_counter, tail.blocks % LANES);
    return counters;
}

KERNEL_INLINE vec tail_load(const struct gcm_run *run, struct tail tail, const int j)
{
    const uint8_t *at = run->at + j * LANES * BLOCK;

    if (j >= tail.data)
        return vec_low(_mm_setzero_si128());
    return j < tail.data - 1 ? vec_load(at) : cut_load(at, cut_at(run->left, tail.last), tail.last);
}

/* Stores vector j of the data and returns it, with zeros where there is none. */
KERNEL_INLINE vec tail_store(const struct gcm_run *run, struct tail tail, const int j, vec data)
{
    uint8_t *at = run->at + j * LANES * BLOCK;

    if (j == tail.data - 1) {
        cut end = cut_at(run->left, tail.last);

        data = cut_clear(data, end);
        cut_store(at, data, end, tail.last);
    } else {
        vec_store(at, data);
    }
    return data;
}

/*
 * Vector j for GHASH into the sum. Block n of the data has the power H^(blocks + 1 - n), the
 * lengths H^1, and what came before a power of its own.
 */
KERNEL_INLINE void tail_hash(struct sum *sum, const struct gcm_run *run, struct tail tail,
                             const int j, vec data)
{
    const int power = tail.blocks + 1 - j * LANES;
    vec in = vec_reverse(data);
    vec powers = vec_load_some(key_power(run->key, power), power < LANES ? power : LANES);

    if (j == tail.blocks / LANES)
        in = vec_put(in, run->lengths, tail.blocks % LANES);
    if (j == (tail.blocks + 1) / LANES) {
        in = vec_put(in, run->hash, (tail.blocks + 1) % LANES);
        powers = vec_put(powers, run->due, (tail.blocks + 1) % LANES);
    }
    sum_add(sum, in, powers);
}

/* Returns the tag. When opening, GHASH's products stand between the rounds of AES. */
KERNEL_INLINE __m128i run_tail(struct gcm_run *run, int rounds, bool sealing, const int blocks)
{
    const struct tail tail = tail_of(blocks);
    const __m128i *round_keys = key_rounds(run->key);
    vec stream[TAIL_MAX / LANES + 1], sealed[TAIL_MAX / LANES + 1];
    vec round_key = vec_spread(round_keys[0]);
    struct sum sum = sum_start();

    KERNEL_UNROLL
    for (int j = 0; j < tail.streams; j++)
        stream[j] = tail_counters(run, tail, j) ^ round_key;
    KERNEL_UNROLL
    for (int i = 1; i < rounds; i++) {
        round_key = vec_spread(round_keys[i]);
        KERNEL_UNROLL
        for (int j = 0; j < tail.streams; j++)
            stream[j] = vec_aesenc(stream[j], round_key);
        if (!sealing && i <= tail.products)
            tail_hash(&sum, run, tail, i - 1, tail_load(run, tail, i - 1));
    }
    KERNEL_UNROLL
    for (int j = sealing ? tail.products : rounds - 1; j < tail.products; j++)
        tail_hash(&sum, run, tail, j, tail_load(run, tail, j));
    round_key = vec_spread(round_keys[rounds]);
    KERNEL_UNROLL
    for (int j = 0; j < tail.streams; j++)
        stream[j] = vec_aesenclast(stream[j], round_key);
    KERNEL_UNROLL
    for (int j = 0; j < tail.data; j++)
        sealed[j] = tail_store(run, tail, j, tail_load(run, tail, j) ^ stream[j]);
    KERNEL_UNROLL
    for (int j = sealing ? 0 : tail.products; j < tail.products; j++)
        tail_hash(&sum, run, tail, j, j < tail.data ? sealed[j] : vec_low(_mm_setzero_si128()));
    return _mm_xor_si128(reverse_bytes(sum_reduce(&sum)),
                         vec_get(stream[blocks / LANES], blocks % LANES));
}

/* With 9 powers there is no tail of more than 8 blocks. */
KERNEL_INLINE __m128i run_any_tail(struct gcm_run *run, int rounds, int powers, bool sealing)
{
    const bool is_long = powers == POWERS_128;
    const size_t blocks = (run->left + BLOCK - 1) / BLOCK;

    run->due = *key_power(run->key, (int)blocks + 1 + (run->is_pending ? 1 : 0));
    __asm__("" : "+x"(run->due)); /* loaded here, once, and not in each case */
    switch (blocks) {
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
 * for what is still to be multiplied by H.
 */
KERNEL_INLINE __m128i run_crypt(struct gcm_run *run, int rounds, int powers, bool sealing)
{
    const size_t tail_max = powers == POWERS_128 ? TAIL_MAX * BLOCK : STRIDE - 1;

    if (run->left > tail_max - (powers == POWERS_128 ? 0 : BLOCK - 1))
        run_settle(run);
    if (!sealing) {
        while (run->left > tail_max)
            run_stride(run, rounds, run->at);
    } else if (run->left > tail_max) {
        run_stride(run, rounds, NULL);
        while (run->left > tail_max)
            run_stride(run, rounds, run->at - STRIDE);
        hash_stride(run, run->at - STRIDE);
    }
    return run_any_tail(run, rounds, powers, sealing);
}

/* GHASH only: nothing is decrypted, nothing written. */
KERNEL_INLINE __m128i run_hash(struct gcm_run *run, int rounds)
{
    __m128i hash;

    run_settle(run);
    for (; run->left >= STRIDE; run->left -= STRIDE, run->at += STRIDE)
        hash_stride(run, run->at);
    hash = run->hash;
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
    int equal_bytes = _mm_movemask_epi8(_mm_cmpeq_epi8(a, b));
    bool same;

    __asm__("" : "+r"(equal_bytes)); /* so that every compiler does it in this way */
    same = equal_bytes == 0xffff;
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
