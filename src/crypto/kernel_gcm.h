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
 *     vec_put(v, x, lane), vec_get(v, lane)
 *     vec_numbers(n)              n, n + 1, ... as the lowest word of each lane
 *     vec_fold(v)                 XOR of the lanes
 *
 * and for vectors with blocks of a packet in some lanes only, the last one perhaps not whole:
 *
 *     cut                         a type that says which bytes exist
 *     cut_at(lane, n, len)        n blocks from that lane on, the last one of len bytes
 *     cut_load(from, end, lane, n), cut_store(to, v, end, lane, n)
 *     cut_clear(v, end)           zero where there is nothing
 *
 * To GHASH a packet is a row of blocks: the AAD's hash so far (P), the data, the lengths (L). We
 * cut it into rows of four, and put what is missing to a multiple of four in *front*, where zeros
 * change nothing. To AES the tag's counter block stands where P does, right before the first of the
 * data:
 *
 *     data of 10 blocks:  P  1  2  3 |  4  5  6  7 |  8  9 10  L
 *     data of 5 blocks:   .  P  1  2 |  3  4  5  L
 *
 * Four columns are then four polynomials in H^4, which a vector works on side by side; two rows
 * cost one reduction, with H^8 and H^4. The columns meet at the end, with H^4, H^3, H^2 and H^1. So
 * five powers serve packets of any length, and a key is little to fetch.
 *
 * Packets of up to SHORT_ROWS rows (a voice packet is one) exist once for each number of blocks,
 * with everything unrolled. Longer ones are a head row, strides, and the last rows. Branches depend
 * on lengths only.
 */

enum {
    BLOCK = 16,
    ROW_BLOCKS = 4,
    ROW_VECTORS = ROW_BLOCKS / LANES,
    SHORT_ROWS = 3,
    /* A stride must keep AES busy: four vectors at least. */
    STRIDE_ROWS = LANES == 4 ? 4 : 2,
    STRIDE_VECTORS = STRIDE_ROWS * ROW_VECTORS,
    STRIDE = STRIDE_ROWS * ROW_BLOCKS * BLOCK,
    ROWS_MAX = STRIDE_ROWS > SHORT_ROWS ? STRIDE_ROWS : SHORT_ROWS,
};

enum job { SEAL, OPEN, VERIFY };

/* Four blocks, or the four columns. */
struct row {
    vec v[ROW_VECTORS];
};

struct gcm_run {
    const struct kw_gcm_key *key;
    uint8_t *at;
    size_t left;
    vec counter;      /* reversed, in every lane: of the block in front of `at` */
    struct row hash;  /* the columns, reversed */
    __m128i whole;    /* the columns when they have met: the hash of the packet, not reversed */
    __m128i aad_hash; /* P, reversed */
    __m128i lengths;  /* L, reversed */
    __m128i tag_counter;
    __m128i tag_mask; /* tag_counter encrypted */
};

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

KERNEL_INLINE vec vec_zero(void)
{
    return vec_spread(_mm_setzero_si128());
}

/* Four sums of 32 bits in each block. */
KERNEL_INLINE vec vec_add32(vec a, vec b)
{
    typedef uint32_t words __attribute__((vector_size(sizeof(vec))));

    return (vec)((words)a + (words)b);
}

/*
 * An unreduced sum of products. With one lane by Karatsuba, (a0 + a1)(b0 + b1) less the two outer
 * products: a carry-less product saved for four cheap instructions. With more lanes these four cost
 * more than the product, because the CPU's window on the program is what is short.
 */
struct sum {
    vec low, middle, high;
};

KERNEL_INLINE struct sum sum_start(void)
{
    return (struct sum){vec_zero(), vec_zero(), vec_zero()};
}

KERNEL_INLINE void sum_add(struct sum *sum, vec blocks, vec powers)
{
    sum->low ^= vec_clmul(blocks, powers, 0x00);
    sum->high ^= vec_clmul(blocks, powers, 0x11);
    if (LANES == 1)
        sum->middle ^= vec_clmul(blocks ^ vec_swap(blocks), powers ^ vec_swap(powers), 0x00);
    else
        sum->middle ^= vec_clmul(blocks, powers, 0x01) ^ vec_clmul(blocks, powers, 0x10);
}

/* Reduced in each lane, as reduce_parts() does it. */
KERNEL_INLINE vec sum_reduce(struct sum sum)
{
    const vec poly = vec_spread(_mm_set_epi64x(0, (long long)0xc200000000000000));

    if (LANES == 1)
        sum.middle ^= sum.low ^ sum.high;
    sum.middle ^= vec_swap(sum.low) ^ vec_clmul(poly, sum.low, 0x00);
    return sum.high ^ vec_swap(sum.middle) ^ vec_clmul(poly, sum.middle, 0x00);
}

/* The columns go on by one row. */
KERNEL_INLINE void hash_row(struct gcm_run *run, struct row next)
{
    const vec power = vec_spread(*key_power(run->key, 4));

    KERNEL_UNROLL
    for (int j = 0; j < ROW_VECTORS; j++) {
        struct sum sum = sum_start();

        sum_add(&sum, run->hash.v[j], power);
        run->hash.v[j] = sum_reduce(sum) ^ next.v[j];
    }
}

/* One vector of the columns goes on by two rows. */
KERNEL_INLINE void hash_two(struct gcm_run *run, int j, vec first, vec second)
{
    struct sum sum = sum_start();

    sum_add(&sum, run->hash.v[j], vec_spread(*key_power(run->key, 8)));
    sum_add(&sum, first, vec_spread(*key_power(run->key, 4)));
    run->hash.v[j] = sum_reduce(sum) ^ second;
}

KERNEL_INLINE void hash_two_rows(struct gcm_run *run, struct row first, struct row second)
{
    KERNEL_UNROLL
    for (int j = 0; j < ROW_VECTORS; j++)
        hash_two(run, j, first.v[j], second.v[j]);
}

/* The columns meet. */
KERNEL_INLINE void hash_end(struct gcm_run *run)
{
    struct sum sum = sum_start();

    KERNEL_UNROLL
    for (int j = 0; j < ROW_VECTORS; j++)
        sum_add(&sum, run->hash.v[j], vec_load(key_power(run->key, ROW_BLOCKS - j * LANES)));
    run->whole = reverse_bytes(vec_fold(sum_reduce(sum)));
}

/*
 * Some rows, known when compiling: with the head (zeros, P, first blocks of the data) or behind it,
 * with the last row (which ends in L) or before it.
 */
struct shape {
    int rows;
    int zeros; /* in front of P; NO_HEAD */
    bool is_last;
};

enum { NO_HEAD = -1 };

/* The data in vector j of row r: blocks in lanes, and their place in the packet. */
struct part {
    int lane;
    int blocks;
    int offset;   /* in blocks */
    bool has_end; /* the packet's last block is among them */
};

KERNEL_INLINE struct part part_of(struct shape shape, int r, int j)
{
    const int first = r == 0 ? shape.zeros + 1 : 0;
    const int end = ROW_BLOCKS - (shape.is_last && r == shape.rows - 1 ? 1 : 0);
    const int from = first > j * LANES ? first : j * LANES;
    const int to = end < (j + 1) * LANES ? end : (j + 1) * LANES;

    return (struct part){
        .lane = from - j * LANES,
        .blocks = to > from ? to - from : 0,
        .offset = r * ROW_BLOCKS + from - (shape.zeros + 1),
        .has_end = shape.is_last && r == shape.rows - 1 && to == end && to > from,
    };
}

/* Bytes in the last block of the data. */
KERNEL_INLINE size_t end_len(const struct gcm_run *run)
{
    return (run->left - 1) % BLOCK + 1;
}

KERNEL_INLINE vec part_load(const struct gcm_run *run, struct part part)
{
    const uint8_t *at = run->at + part.offset * BLOCK;

    if (part.blocks == 0)
        return vec_zero();
    if (part.blocks == LANES && !part.has_end)
        return vec_load(at);
    return cut_load(at, cut_at(part.lane, part.blocks, part.has_end ? end_len(run) : BLOCK),
                    part.lane, part.blocks);
}

/* Stores the data and returns it, with zeros where there is none. */
KERNEL_INLINE vec part_store(const struct gcm_run *run, struct part part, vec data)
{
    uint8_t *at = run->at + part.offset * BLOCK;
    cut end;

    if (part.blocks == 0)
        return vec_zero();
    if (part.blocks == LANES && !part.has_end) {
        vec_store(at, data);
        return data;
    }
    end = cut_at(part.lane, part.blocks, part.has_end ? end_len(run) : BLOCK);
    data = cut_clear(data, end);
    cut_store(at, data, end, part.lane, part.blocks);
    return data;
}

/* What GHASH takes in: the data, P and L. */
KERNEL_INLINE struct row row_hashed(const struct gcm_run *run, struct shape shape, int r,
                                    struct row data)
{
    KERNEL_UNROLL
    for (int j = 0; j < ROW_VECTORS; j++)
        data.v[j] = vec_reverse(data.v[j]);
    if (r == 0 && shape.zeros != NO_HEAD)
        data.v[shape.zeros / LANES] =
            vec_put(data.v[shape.zeros / LANES], run->aad_hash, shape.zeros % LANES);
    if (r == shape.rows - 1 && shape.is_last)
        data.v[ROW_VECTORS - 1] = vec_put(data.v[ROW_VECTORS - 1], run->lengths, LANES - 1);
    return data;
}

KERNEL_INLINE void hash_rows(struct gcm_run *run, struct shape shape, const struct row *rows)
{
    struct row hashed[ROWS_MAX];
    int r = 0;

    KERNEL_UNROLL
    for (int i = 0; i < shape.rows; i++)
        hashed[i] = row_hashed(run, shape, i, rows[i]);
    if (shape.zeros != NO_HEAD)
        run->hash = hashed[r++];
    if ((shape.rows - r) % 2 != 0)
        hash_row(run, hashed[r++]);
    KERNEL_UNROLL
    for (; r < shape.rows; r += 2)
        hash_two_rows(run, hashed[r], hashed[r + 1]);
    if (shape.is_last)
        hash_end(run);
}

KERNEL_INLINE void encrypt_vectors(const struct kw_gcm_key *key, int rounds, vec *state, int count)
{
    const __m128i *round_keys = key_rounds(key, rounds);
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

/* n: of the first block, counted from the one in front of `at`. */
KERNEL_INLINE vec counters(const struct gcm_run *run, int n)
{
    return vec_reverse(vec_add32(run->counter, vec_numbers(n)));
}

/* The key stream of some rows; where P stands, the tag's. */
KERNEL_INLINE void crypt_rows(struct gcm_run *run, int rounds, struct shape shape, enum job job,
                              struct row *rows)
{
    vec stream[ROWS_MAX * ROW_VECTORS];

    KERNEL_UNROLL
    for (int j = 0; j < shape.rows * ROW_VECTORS; j++)
        stream[j] = counters(run, j * LANES - shape.zeros);
    encrypt_vectors(run->key, rounds, stream, shape.rows * ROW_VECTORS);
    KERNEL_UNROLL
    for (int j = 0; j < shape.rows * ROW_VECTORS; j++) {
        struct part part = part_of(shape, j / ROW_VECTORS, j % ROW_VECTORS);
        vec data = part_store(run, part, part_load(run, part) ^ stream[j]);

        if (job == SEAL)
            rows[j / ROW_VECTORS].v[j % ROW_VECTORS] = data;
    }
    if (shape.zeros != NO_HEAD)
        run->tag_mask = vec_get(stream[shape.zeros / LANES], shape.zeros % LANES);
}

/* Some rows from `at` on, which stays where it is. */
KERNEL_INLINE void run_rows(struct gcm_run *run, int rounds, struct shape shape, enum job job)
{
    struct row rows[ROWS_MAX];

    if (job == SEAL) {
        crypt_rows(run, rounds, shape, job, rows);
        hash_rows(run, shape, rows);
        return;
    }
    KERNEL_UNROLL
    for (int j = 0; j < shape.rows * ROW_VECTORS; j++)
        rows[j / ROW_VECTORS].v[j % ROW_VECTORS] =
            part_load(run, part_of(shape, j / ROW_VECTORS, j % ROW_VECTORS));
    hash_rows(run, shape, rows);
    if (job == OPEN)
        crypt_rows(run, rounds, shape, job, rows);
    else if (shape.zeros != NO_HEAD)
        run->tag_mask = encrypt_block(run->key, rounds, run->tag_counter);
}

/* Vector j of the columns goes on by two rows of whole blocks, pair p of those at `from`. */
KERNEL_INLINE void hash_pair(struct gcm_run *run, const uint8_t *from, int p, int j)
{
    const uint8_t *first = from + (2 * p * ROW_BLOCKS + j * LANES) * BLOCK;

    hash_two(run, j, vec_reverse(vec_load(first)),
             vec_reverse(vec_load(first + ROW_BLOCKS * BLOCK)));
}

KERNEL_INLINE void run_skip(struct gcm_run *run, int blocks)
{
    run->at += blocks * BLOCK;
    run->left -= (size_t)blocks * BLOCK;
    run->counter = vec_add32(run->counter, vec_spread(_mm_set_epi32(0, 0, 0, blocks)));
}

KERNEL_INLINE void hash_stride(struct gcm_run *run, const uint8_t *from)
{
    KERNEL_UNROLL
    for (int step = 0; step < STRIDE_VECTORS / 2; step++)
        hash_pair(run, from, step / ROW_VECTORS, step % ROW_VECTORS);
}

/*
 * A stride, while the ciphertext at `hashed` (this stride's when opening, the one before when
 * sealing; NULL: none) goes through GHASH: its products are put between the rounds of AES, because
 * the two use different units of the CPU and neither fills its own.
 */
KERNEL_INLINE void run_stride(struct gcm_run *run, int rounds, const uint8_t *hashed)
{
    enum { STEPS = STRIDE_VECTORS / 2 };
    const __m128i *round_keys = key_rounds(run->key, rounds);
    const int spacing = (rounds - 1) / STEPS;
    vec stream[STRIDE_VECTORS], round_key = vec_spread(round_keys[0]);

    KERNEL_UNROLL
    for (int j = 0; j < STRIDE_VECTORS; j++)
        stream[j] = counters(run, 1 + j * LANES) ^ round_key;
    KERNEL_UNROLL
    for (int i = 1; i < rounds; i++) {
        const int step = i / spacing - 1;

        round_key = vec_spread(round_keys[i]);
        KERNEL_UNROLL
        for (int j = 0; j < STRIDE_VECTORS; j++)
            stream[j] = vec_aesenc(stream[j], round_key);
        if (hashed != NULL && i % spacing == 0 && step < STEPS)
            hash_pair(run, hashed, step / ROW_VECTORS, step % ROW_VECTORS);
    }
    round_key = vec_spread(round_keys[rounds]);
    KERNEL_UNROLL
    for (int j = 0; j < STRIDE_VECTORS; j++) {
        uint8_t *at = run->at + j * LANES * BLOCK;

        vec_store(at, vec_load(at) ^ vec_aesenclast(stream[j], round_key));
    }
    run_skip(run, STRIDE / BLOCK);
}

/* The head of a longer packet. */
KERNEL_INLINE void run_head(struct gcm_run *run, int rounds, int zeros, enum job job)
{
    run_rows(run, rounds, (struct shape){1, zeros, false}, job);
    run_skip(run, ROW_BLOCKS - 1 - zeros);
}

KERNEL_INLINE void run_strides(struct gcm_run *run, int rounds, enum job job)
{
    const uint8_t *hashed = NULL;

    while (run->left > STRIDE - BLOCK) {
        if (job == VERIFY) {
            hash_stride(run, run->at);
            run_skip(run, STRIDE / BLOCK);
        } else if (job == OPEN) {
            run_stride(run, rounds, run->at);
        } else if (hashed == NULL) {
            hashed = run->at;
            run_stride(run, rounds, NULL);
        } else {
            run_stride(run, rounds, hashed);
            hashed += STRIDE;
        }
    }
    if (hashed != NULL)
        hash_stride(run, hashed);
}

KERNEL_INLINE void run_last(struct gcm_run *run, int rounds, int rows, enum job job)
{
    run_rows(run, rounds, (struct shape){rows, NO_HEAD, true}, job);
}

KERNEL_INLINE void run_long(struct gcm_run *run, int rounds, enum job job)
{
    switch ((run->left + BLOCK - 1) / BLOCK % ROW_BLOCKS) {
    case 0:
        run_head(run, rounds, 2, job);
        break;
    case 1:
        run_head(run, rounds, 1, job);
        break;
    case 2:
        run_head(run, rounds, 0, job);
        break;
    default:
        run_head(run, rounds, 3, job);
    }
    run_strides(run, rounds, job);
    switch ((run->left + BLOCK - 1) / (ROW_BLOCKS * BLOCK)) {
    case 0:
        run_last(run, rounds, 1, job);
        break;
    case 1:
        run_last(run, rounds, 2, job);
        break;
    case 2:
        run_last(run, rounds, STRIDE_ROWS > 2 ? 3 : 2, job);
        break;
    default:
        run_last(run, rounds, STRIDE_ROWS > 2 ? 4 : 2, job);
    }
}

/* A whole packet of this many blocks. */
KERNEL_INLINE void run_short(struct gcm_run *run, int rounds, const int blocks, enum job job)
{
    const int rows = (blocks + 2 + ROW_BLOCKS - 1) / ROW_BLOCKS;

    run_rows(run, rounds, (struct shape){rows, rows * ROW_BLOCKS - blocks - 2, true}, job);
}

/* Returns the tag. */
KERNEL_INLINE __m128i run_packet(struct gcm_run *run, int rounds, enum job job)
{
    switch ((run->left + BLOCK - 1) / BLOCK) {
    case 0:
        run_short(run, rounds, 0, job);
        break;
    case 1:
        run_short(run, rounds, 1, job);
        break;
    case 2:
        run_short(run, rounds, 2, job);
        break;
    case 3:
        run_short(run, rounds, 3, job);
        break;
    case 4:
        run_short(run, rounds, 4, job);
        break;
    case 5:
        run_short(run, rounds, 5, job);
        break;
    case 6:
        run_short(run, rounds, 6, job);
        break;
    case 7:
        run_short(run, rounds, 7, job);
        break;
    case 8:
        run_short(run, rounds, 8, job);
        break;
    case 9:
        run_short(run, rounds, 9, job);
        break;
    case 10:
        run_short(run, rounds, 10, job);
        break;
    default:
        run_long(run, rounds, job);
    }
    return _mm_xor_si128(run->whole, run->tag_mask);
}

_Static_assert(SHORT_ROWS *ROW_BLOCKS == 10 + 2, "the last case of run_packet()");

/* A block of the AAD; the last one is perhaps not whole. */
KERNEL_INLINE __m128i aad_block(const uint8_t *aad, size_t len)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)aad);

    return reverse_bytes(_mm_and_si128(block, tail_mask(len)));
}

KERNEL_INLINE struct gcm_run run_start(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    struct gcm_run run = {
        .key = key,
        .at = packet->body,
        .left = packet->body_len,
        .aad_hash = _mm_setzero_si128(),
    };
    const uint8_t *aad = packet->aad;
    size_t aad_left = packet->aad_len;
    uint64_t first, second;

    /* Two loads: the caller wrote the nonce as two words, and a wider load would wait for both. */
    memcpy(&first, packet->iv, 8);
    memcpy(&second, packet->iv + 8, 8);
    /* SP 800-38D, section 7.1: J0 = IV || 0^31 1; the first block of the body has J0 + 1. */
    second = (second & 0xffffffff) | UINT64_C(1) << 56;
    run.tag_counter = _mm_set_epi64x((long long)second, (long long)first);
    run.counter = vec_spread(reverse_bytes(run.tag_counter));
    run.lengths =
        _mm_set_epi64x((long long)(packet->aad_len * 8), (long long)(packet->body_len * 8));

    for (; aad_left > BLOCK; aad += BLOCK, aad_left -= BLOCK)
        run.aad_hash =
            multiply(_mm_xor_si128(run.aad_hash, aad_block(aad, BLOCK)), *key_power(key, 1));
    if (aad_left != 0)
        run.aad_hash = _mm_xor_si128(run.aad_hash, aad_block(aad, aad_left));
    return run;
}

/* What the constant-time test is told to be public. */
#ifndef KW_GCM_REVEAL
#define KW_GCM_REVEAL(mem, len) ((void)0)
#endif

/* Equal in a time that depends on nothing; the answer itself is public. */
KERNEL_INLINE bool same_tag(__m128i a, __m128i b)
{
    __m128i equal = _mm_cmpeq_epi8(a, b);
    bool same;

    __asm__("" : "+x"(equal)); /* so that every compiler does it in this way */
    same = _mm_movemask_epi8(equal) == 0xffff;
    KW_GCM_REVEAL(&same, sizeof same);
    return same;
}

KERNEL_INLINE enum kw_verdict gcm_seal(const struct kw_gcm_key *key, const struct kw_packet *packet,
                                       int rounds)
{
    struct gcm_run run = run_start(key, packet);
    __m128i tag = run_packet(&run, rounds, SEAL);

    _mm_storeu_si128((__m128i *)(void *)packet->tag, tag);
    return KW_ACCEPT;
}

KERNEL_INLINE enum kw_verdict gcm_open(const struct kw_gcm_key *key, const struct kw_packet *packet,
                                       int rounds)
{
    /* Before anything is written: the room behind the body is where the tag usually is. */
    __m128i tag = _mm_loadu_si128((const __m128i *)(const void *)packet->tag);
    struct gcm_run run = run_start(key, packet);

    if (same_tag(tag, run_packet(&run, rounds, OPEN)))
        return KW_ACCEPT;
    kw_wipe(packet->body, packet->body_len);
    return KW_DROP_FORGED;
}

KERNEL_INLINE enum kw_verdict gcm_verify(const struct kw_gcm_key *key,
                                         const struct kw_packet *packet, int rounds)
{
    __m128i tag = _mm_loadu_si128((const __m128i *)(const void *)packet->tag);
    struct gcm_run run = run_start(key, packet);

    return same_tag(tag, run_packet(&run, rounds, VERIFY)) ? KW_ACCEPT : KW_DROP_FORGED;
}

static enum kw_verdict seal_128(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_seal(key, packet, ROUNDS_128);
}

static enum kw_verdict open_128(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_open(key, packet, ROUNDS_128);
}

static enum kw_verdict verify_128(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_verify(key, packet, ROUNDS_128);
}

static enum kw_verdict seal_256(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_seal(key, packet, ROUNDS_256);
}

static enum kw_verdict open_256(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_open(key, packet, ROUNDS_256);
}

static enum kw_verdict verify_256(const struct kw_gcm_key *key, const struct kw_packet *packet)
{
    return gcm_verify(key, packet, ROUNDS_256);
}

#define KERNEL_ROWS                                                                                \
    {                                                                                              \
        {KW_SRTP_AEAD_AES_128_GCM,                                                                 \
         KEY_LEN_128,                                                                              \
         x86_init_128,                                                                             \
         x86_deinit,                                                                               \
         seal_128,                                                                                 \
         open_128,                                                                                 \
         verify_128},                                                                              \
            {KW_SRTP_AEAD_AES_256_GCM,                                                             \
             KEY_LEN_256,                                                                          \
             x86_init_256,                                                                         \
             x86_deinit,                                                                           \
             seal_256,                                                                             \
             open_256,                                                                             \
             verify_256},                                                                          \
    }
