/* SPDX-License-Identifier: Apache-2.0 */
/* STUN on the wire: the vectors of RFC 5769, malformed messages, writing and reading back. */
#include "ice_test.h"

static const char password[] = "VOkJxbRl1RmTxUk/WvJxBt";

/* RFC 5769 section 2.1. */
static const uint8_t request[] =
    "\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
    "\x80\x22\x00\x10STUN test client"
    "\x00\x24\x00\x04\x6e\x00\x01\xff"
    "\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36"
    "\x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20"
    "\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71"
    "\xa2\x80\x28\x00\x04\xe5\x7a\x3b\xcf";
enum { REQUEST_LEN = sizeof request - 1 };

/* RFC 5769 section 2.2. */
static const uint8_t response4[] =
    "\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
    "\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20"
    "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43"
    "\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7"
    "\xd7\x80\x28\x00\x04\xc0\x7d\x4c\x96";

/* RFC 5769 section 2.3. */
static const uint8_t response6[] =
    "\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
    "\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20"
    "\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9"
    "\xd9\x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3"
    "\xed\x41\x80\x28\x00\x04\xc8\xfb\x0b\x4c";

static struct kw_bytes secret(void)
{
    return (struct kw_bytes){(const uint8_t *)password, sizeof password - 1};
}

static void rfc_5769_request(void **state)
{
    struct kw_stun_message message;
    struct kw_bytes ufrag;
    uint8_t bent[REQUEST_LEN];

    (void)state;
    assert_true(kw_stun_looks_like(request, REQUEST_LEN));
    assert_int_equal(kw_stun_parse(request, REQUEST_LEN, &message), KW_ACCEPT);
    assert_int_equal(message.class, KW_STUN_REQUEST);
    assert_int_equal(message.username.len, 9);
    assert_memory_equal(message.username.data, "evtj:h6vY", 9);
    assert_true(message.has_priority);
    assert_int_equal(message.priority, 0x6e0001ff);
    assert_int_equal(message.role, KW_STUN_CONTROLLED);
    assert_true(message.tie_breaker == 0x932ff9b151263b36U);
    assert_int_equal(kw_stun_verify(crypto, request, &message, secret()), KW_ACCEPT);
    assert_true(kw_stun_local_ufrag(request, REQUEST_LEN, &ufrag));
    assert_int_equal(ufrag.len, 4);
    assert_memory_equal(ufrag.data, "evtj", 4);

    /* The padding is spaces here: it is covered, so a zero there is a forgery. */
    memcpy(bent, request, REQUEST_LEN);
    bent[75] = 0;
    assert_int_equal(kw_stun_verify(crypto, bent, &message, secret()), KW_DROP_FORGED);
    assert_int_equal(
        kw_stun_verify(crypto, request, &message, (struct kw_bytes){(const uint8_t *)"wrong", 5}),
        KW_DROP_FORGED);
}

static void rfc_5769_responses(void **state)
{
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78,
                                   0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77};
    struct kw_stun_message message;

    (void)state;
    assert_int_equal(kw_stun_parse(response4, sizeof response4 - 1, &message), KW_ACCEPT);
    assert_int_equal(message.class, KW_STUN_SUCCESS);
    assert_int_equal(kw_stun_verify(crypto, response4, &message, secret()), KW_ACCEPT);
    assert_int_equal(message.mapped.family, 4);
    assert_int_equal(message.mapped.port, 32853);
    assert_memory_equal(message.mapped.ip, "\xc0\x00\x02\x01", 4);

    assert_int_equal(kw_stun_parse(response6, sizeof response6 - 1, &message), KW_ACCEPT);
    assert_int_equal(kw_stun_verify(crypto, response6, &message, secret()), KW_ACCEPT);
    assert_int_equal(message.mapped.family, 6);
    assert_int_equal(message.mapped.port, 32853);
    assert_memory_equal(message.mapped.ip, v6, 16);
}

static void every_truncation_and_every_flipped_bit(void **state)
{
    struct kw_stun_message message;
    struct kw_bytes ufrag;

    (void)state;
    for (size_t cut = 0; cut < REQUEST_LEN; cut++) {
        uint8_t *copy = malloc(cut + 1);

        memcpy(copy, request, cut);
        assert_int_equal(kw_stun_parse(copy, cut, &message), KW_DROP_FOREIGN);
        assert_false(kw_stun_local_ufrag(copy, cut, &ufrag));
        /* even when its length says that all is well */
        if (cut >= KW_STUN_HEADER_LEN && cut % 4 == 0) {
            copy[3] = (uint8_t)(cut - KW_STUN_HEADER_LEN);
            assert_int_not_equal(kw_stun_parse(copy, cut, &message), KW_ACCEPT);
            (void)!kw_stun_local_ufrag(copy, cut, &ufrag);
        }
        free(copy);
    }
    for (size_t bit = 0; bit < 8 * REQUEST_LEN; bit++) {
        uint8_t copy[REQUEST_LEN];

        memcpy(copy, request, REQUEST_LEN);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(kw_stun_parse(copy, REQUEST_LEN, &message) != KW_ACCEPT, "bit %zu", bit);
    }
}

/* Messages built by hand and given a right fingerprint. */
static const struct {
    const char *bytes;
    size_t len;
    enum kw_verdict verdict;
    const char *why;
} messages[] = {
#define ROW(text, verdict, why)                                                                    \
    {                                                                                              \
        text, sizeof text - 1, verdict, why                                                        \
    }
    ROW("\x00\x01", KW_ACCEPT, "an empty request"),
    ROW("\x00\x11", KW_ACCEPT, "an indication"),
    ROW("\x00\x02", KW_DROP_FOREIGN, "another method"),
    ROW("\x00\x03", KW_DROP_FOREIGN, "Allocate of TURN"),
    ROW("\x01\x11", KW_DROP_MALFORMED, "an error response without ERROR-CODE"),
    ROW("\x01\x11\x00\x09\x00\x04\x00\x00\x04\x57", KW_ACCEPT, "487"),
    ROW("\x01\x11\x00\x09\x00\x04\x00\x00\x02\x57", KW_DROP_MALFORMED, "error class 2"),
    ROW("\x01\x11\x00\x09\x00\x04\x00\x00\x04\x64", KW_DROP_MALFORMED, "error number 100"),
    ROW("\x01\x11\x00\x09\x00\x03\x00\x00\x04\x57", KW_DROP_MALFORMED, "a short ERROR-CODE"),
    ROW("\x00\x01\x00\x24\x00\x04\x01\x02\x03\x04", KW_ACCEPT, "a priority"),
    ROW("\x00\x01\x00\x24\x00\x03\x01\x02\x03\x00", KW_DROP_MALFORMED, "a short priority"),
    ROW("\x00\x01\x00\x24\x00\x08\x01\x02\x03\x04\x05\x06\x07\x08", KW_DROP_MALFORMED,
        "a long priority"),
    ROW("\x00\x01\x00\x25\x00\x04\x01\x02\x03\x04", KW_DROP_MALFORMED, "USE-CANDIDATE, a value"),
    ROW("\x00\x01\x80\x2a\x00\x04\x01\x02\x03\x04", KW_DROP_MALFORMED, "a short tie-breaker"),
    ROW("\x00\x01\x00\x08\x00\x04\x01\x02\x03\x04", KW_DROP_MALFORMED, "a short integrity"),
    ROW("\x00\x01\x00\x06\x00\x40\x61\x3a\x62\x00", KW_DROP_TRUNCATED, "a length beyond the end"),
    ROW("\x00\x01\x00\x06\xff\xff\x61\x3a\x62\x00", KW_DROP_TRUNCATED, "a length far beyond"),
    ROW("\x01\x01\x00\x20\x00\x08\x00\x03\x11\x11\x01\x02\x03\x04", KW_DROP_MALFORMED, "family 3"),
    ROW("\x01\x01\x00\x20\x00\x08\x00\x02\x11\x11\x01\x02\x03\x04", KW_DROP_MALFORMED,
        "IPv6 with four bytes"),
    ROW("\x01\x01\x00\x20\x00\x04\x00\x01\x11\x11", KW_DROP_MALFORMED, "no address"),
    ROW("\x00\x01\x80\x28\x00\x04\x01\x02\x03\x04", KW_DROP_FOREIGN, "a wrong fingerprint first"),
    ROW("\x00\x01\x7f\xff\x00\x04\x01\x02\x03\x04", KW_ACCEPT, "unknown, to be understood"),
    ROW("\x00\x01\xff\xff\x00\x00", KW_ACCEPT, "unknown, to be skipped"),
#undef ROW
};

static void malformed_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < KW_ARRAY_LEN(messages); i++) {
        static const uint8_t transaction[KW_STUN_TRANSACTION_LEN] = {1};
        struct kw_stun_message message;
        uint8_t data[128];
        struct kw_writer out = kw_writer_of(data, sizeof data);
        enum kw_verdict verdict;
        size_t len;

        kw_stun_begin(&out, KW_STUN_REQUEST, transaction);
        memcpy(data, messages[i].bytes, 2);
        kw_write_bytes(
            &out, (struct kw_bytes){(const uint8_t *)messages[i].bytes + 2, messages[i].len - 2});
        len = kw_stun_finish(&out, crypto, (struct kw_bytes){NULL, 0});
        verdict = kw_stun_parse(data, len, &message);
        CHECK(verdict == messages[i].verdict, "%s: %s", messages[i].why, kw_verdict_name(verdict));
    }
}

static void duplicates_and_what_follows_integrity(void **state)
{
    static const uint8_t transaction[KW_STUN_TRANSACTION_LEN] = {1};
    struct kw_stun_message message;
    uint8_t data[256];
    struct kw_writer out = kw_writer_of(data, sizeof data);
    size_t len;

    (void)state;
    kw_stun_begin(&out, KW_STUN_REQUEST, transaction);
    kw_stun_write_username(&out, (struct kw_bytes){(const uint8_t *)"one", 3},
                           (struct kw_bytes){(const uint8_t *)"x", 1});
    kw_stun_write_username(&out, (struct kw_bytes){(const uint8_t *)"two", 3},
                           (struct kw_bytes){(const uint8_t *)"x", 1});
    kw_write_u32(&out, 0x00080014); /* MESSAGE-INTEGRITY */
    memset(kw_write_room(&out, 20), 0, 20);
    kw_stun_write_use_candidate(&out);
    len = kw_stun_finish(&out, crypto, (struct kw_bytes){NULL, 0});
    assert_int_equal(kw_stun_parse(data, len, &message), KW_ACCEPT);
    assert_memory_equal(message.username.data, "one:x", 5);
    assert_false(message.use_candidate); /* RFC 8489 section 14.5: MUST be ignored */
    assert_int_equal(kw_stun_verify(crypto, data, &message, secret()), KW_DROP_FORGED);

    /* FINGERPRINT MUST be last. */
    out = kw_writer_of(data, sizeof data);
    kw_stun_begin(&out, KW_STUN_REQUEST, transaction);
    len = kw_stun_finish(&out, crypto, (struct kw_bytes){NULL, 0});
    kw_stun_write_priority(&out, 1);
    data[3] = (uint8_t)(out.len - KW_STUN_HEADER_LEN);
    assert_int_not_equal(kw_stun_parse(data, out.len, &message), KW_ACCEPT);
}

static void written_messages_are_read_back(void **state)
{
    struct dice dice = {.state = 1};
    struct kw_address mapped[] = {addr(9, 1234), addr6(9, 4321)};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint8_t transaction[KW_STUN_TRANSACTION_LEN], data[KW_STUN_MESSAGE_MAX];
        struct kw_writer out = kw_writer_of(data, sizeof data);
        struct kw_stun_message message;
        size_t len;

        assert_int_equal(dice_fill(&dice, transaction, sizeof transaction), KW_OK);
        kw_stun_begin(&out, KW_STUN_SUCCESS, transaction);
        kw_stun_write_mapped(&out, &mapped[i]);
        len = kw_stun_finish(&out, crypto, secret());
        assert_int_equal(kw_stun_parse(data, len, &message), KW_ACCEPT);
        assert_int_equal(message.class, KW_STUN_SUCCESS);
        assert_memory_equal(message.transaction, transaction, sizeof transaction);
        assert_true(kw_address_equal(&message.mapped, &mapped[i]));
        assert_int_equal(kw_stun_verify(crypto, data, &message, secret()), KW_ACCEPT);
        /* every room that is too small */
        for (size_t size = KW_STUN_HEADER_LEN; size < len; size++) {
            out = kw_writer_of(data, size);
            kw_stun_begin(&out, KW_STUN_SUCCESS, transaction);
            kw_stun_write_mapped(&out, &mapped[i]);
            assert_int_equal(kw_stun_finish(&out, crypto, secret()), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_5769_request),
        cmocka_unit_test(rfc_5769_responses),
        cmocka_unit_test(every_truncation_and_every_flipped_bit),
        cmocka_unit_test(malformed_messages),
        cmocka_unit_test(duplicates_and_what_follows_integrity),
        cmocka_unit_test(written_messages_are_read_back),
    };

    return cmocka_run_group_tests(tests, open_crypto, close_crypto);
}
