/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/tls.c: files that can't be used, and files that are replaced. What clients show is tested with real
 * ones in tests/board. */
#include "test.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "http/tls.h"
#include "util/cleanup.h"

static struct {
    char *directory;
    char certificate[300], key[300];
    struct tls_settings settings;
    gnutls_x509_privkey_t private_key;
} fixture;

static char *path_of(const char *name, char path[300])
{
    snprintf(path, 300, "%s/%s", fixture.directory, name);
    return path;
}

/* Whole or not at all, as good tools replace a file. */
static void write_pem(const char *path, const gnutls_datum_t *pem)
{
    char beside[310];

    snprintf(beside, sizeof(beside), "%s.new", path);
    test_write_file(beside, pem->data, pem->size);
    assert_int_equal(chmod(beside, 0600), 0);
    assert_int_equal(rename(beside, path), 0);
}

static void make_key(void)
{
    gnutls_datum_t pem;

    if (fixture.private_key)
        gnutls_x509_privkey_deinit(fixture.private_key);
    assert_int_equal(gnutls_x509_privkey_init(&fixture.private_key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(fixture.private_key, GNUTLS_PK_ECDSA,
                             GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
            0);
    assert_int_equal(gnutls_x509_privkey_export2(fixture.private_key, GNUTLS_X509_FMT_PEM, &pem), 0);
    write_pem(fixture.key, &pem);
    gnutls_free(pem.data);
}

static void make_certificate(const char *host)
{
    time_t now = time(NULL);
    gnutls_x509_crt_t certificate;
    gnutls_datum_t pem;

    assert_int_equal(gnutls_x509_crt_init(&certificate), 0);
    gnutls_x509_crt_set_version(certificate, 3);
    gnutls_x509_crt_set_serial(certificate, &now, sizeof(now));
    gnutls_x509_crt_set_activation_time(certificate, now - 100);
    gnutls_x509_crt_set_expiration_time(certificate, now + 1000);
    gnutls_x509_crt_set_subject_alt_name(
            certificate, GNUTLS_SAN_DNSNAME, host, (unsigned)strlen(host), GNUTLS_FSAN_SET);
    gnutls_x509_crt_set_subject_alt_name(
            certificate, GNUTLS_SAN_IPADDRESS, "\300\0\2\7", 4, GNUTLS_FSAN_APPEND);
    gnutls_x509_crt_set_key(certificate, fixture.private_key);
    assert_int_equal(
            gnutls_x509_crt_sign2(certificate, certificate, fixture.private_key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &pem), 0);
    write_pem(fixture.certificate, &pem);
    gnutls_free(pem.data);
    gnutls_x509_crt_deinit(certificate);
}

static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    fixture.directory = test_directory_new();
    fixture.settings.certificate = path_of("tls.crt", fixture.certificate);
    fixture.settings.key = path_of("tls.key", fixture.key);
    make_key();
    make_certificate("one.example");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gnutls_x509_privkey_deinit(fixture.private_key);
    test_directory_remove(fixture.directory);
    return 0;
}

static void test_names(void **state)
{
    struct tls_credentials *credentials;
    struct error error = {0};
    struct tls *tls = NULL;

    (void)state;
    test_that(tls_new(&fixture.settings, &tls, &error) == 0, "%s", error.message);
    credentials = tls_current(tls, 10000000);
    assert_true(tls_is_for(credentials, "one.example"));
    assert_true(tls_is_for(credentials, "ONE.example"));
    assert_true(tls_is_for(credentials, "192.0.2.7"));
    assert_false(tls_is_for(credentials, "192.0.2.8"));
    assert_false(tls_is_for(credentials, "two.example"));
    assert_false(tls_is_for(credentials, "[::1]"));
    assert_false(tls_is_for(credentials, ""));
    assert_false(tls_is_for(credentials, "[]"));
    tls_credentials_unref(credentials);
    tls_free(tls);
    tls_free(NULL);
}

static void expect_refusal(int wanted, const char *text)
{
    struct error error = {0};
    struct tls *tls = NULL;

    check_error(tls_new(&fixture.settings, &tls, &error), wanted, &error, text);
    assert_null(tls);
}

static void test_files_that_can_not_be_used(void **state)
{
    static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhX/+nZKlXdZgICCAAw\n"
                                    "-----END ENCRYPTED PRIVATE KEY-----\n";
    char missing[300], junk[300];

    (void)state;
    test_write_text(path_of("junk", junk), "not PEM at all\n");
    fixture.settings.certificate = path_of("nothing", missing);
    expect_refusal(-ENOENT, "tls.certificate");
    fixture.settings.certificate = junk;
    expect_refusal(-EINVAL, "has no certificate in PEM form");
    fixture.settings.certificate = fixture.key;
    expect_refusal(-EINVAL, "has no certificate in PEM form");
    fixture.settings.certificate = fixture.certificate;

    fixture.settings.key = missing;
    expect_refusal(-ENOENT, "tls.key");
    fixture.settings.key = junk;
    expect_refusal(-EINVAL, "has no private key in PEM form");
    test_write_text(junk, encrypted);
    expect_refusal(-EINVAL, "tls.key");
    fixture.settings.key = fixture.key;
    fixture.settings.client_ca = missing;
    expect_refusal(-ENOENT, "tls.client_ca");
    fixture.settings.client_ca = junk;
    expect_refusal(-EINVAL, "tls.client_ca");
    fixture.settings.client_ca = NULL;

    make_key();
    expect_refusal(-EINVAL, "is not the key of");
}

static void test_replaced(void **state)
{
    struct tls_credentials *first, *second;
    uint64_t now_us = 10000000;
    struct error error = {0};
    struct tls *tls = NULL;

    (void)state;
    test_that(tls_new(&fixture.settings, &tls, &error) == 0, "%s", error.message);
    first = tls_current(tls, now_us);
    make_certificate("two.example");
    second = tls_current(tls, now_us + 999999); /* not looked at yet */
    assert_ptr_equal(first, second);
    tls_credentials_unref(second);
    second = tls_current(tls, now_us += 1000000);
    assert_ptr_not_equal(first, second);
    assert_true(tls_is_for(second, "two.example"));
    assert_true(tls_is_for(first, "one.example")); /* which is still in use */
    tls_credentials_unref(first);
    tls_credentials_unref(second);
    tls_free(tls);
}

static void test_half_replaced(void **state)
{
    struct tls_credentials *credentials;
    uint64_t now_us = 10000000;
    struct error error = {0};
    struct tls *tls = NULL;

    (void)state;
    test_that(tls_new(&fixture.settings, &tls, &error) == 0, "%s", error.message);
    make_key(); /* whose certificate is not there yet */
    for (unsigned i = 0; i < 3; i++) {
        credentials = tls_current(tls, now_us += 1000000);
        assert_true(tls_is_for(credentials, "one.example"));
        tls_credentials_unref(credentials);
    }
    assert_int_equal(unlink(fixture.certificate), 0);
    credentials = tls_current(tls, now_us += 1000000);
    assert_true(tls_is_for(credentials, "one.example"));
    tls_credentials_unref(credentials);
    make_certificate("two.example");
    credentials = tls_current(tls, now_us += 1000000);
    assert_true(tls_is_for(credentials, "two.example"));
    tls_credentials_unref(credentials);
    tls_free(tls);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_files_that_can_not_be_used, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_replaced, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_half_replaced, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
