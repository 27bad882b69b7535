/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libmicrohttpd has no credentials of its own: each session is given those of the time when it begins, with
 * a reference, so that none is freed under a session that still uses it. */
#include "http/tls.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/principal.h"
#include "http/certificate_time.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/log.h"

/* The client chooses among these, and the loop does the arithmetic: the finite-field groups of up to 8192
 * bits would cost it half a second for a kilobyte that costs the client nothing. */
const char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-DHE-RSA:-RSA:"
                              "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1";

enum {
    FILE_LIMIT = 1024 * 1024,
    LOOK_US = 1000000,
    FILES = 3,

    /* Of a client's certificate, which is used before it is verified. */
    SHOWN_OCTETS = 16 * 1024,
    SHOWN_MODULUS_OCTETS = 8192 / 8 + 1,
    SHOWN_EXPONENT_OCTETS = 8 + 1,
};

struct tls_credentials {
    unsigned references;
    gnutls_certificate_credentials_t x509; /* owns clients */
    gnutls_x509_trust_list_t clients;      /* NULL: nobody is asked for a certificate */
    gnutls_x509_crt_t certificate;
};

/* What tells one state of a file from another. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

struct tls {
    const struct tls_settings *settings;
    struct tls_credentials *current;
    struct stamp stamps[FILES]; /* of what was tried last */
    uint64_t looked_us;
};

void tls_credentials_unref(struct tls_credentials *credentials)
{
    if (!credentials || --credentials->references > 0)
        return;
    gnutls_certificate_free_credentials(credentials->x509);
    gnutls_x509_crt_deinit(credentials->certificate);
    free(credentials);
}
DEFINE_CLEANUP(struct tls_credentials *, tls_credentials_unref)

/* PEM text, wiped when it is done with. */
struct pem {
    gnutls_datum_t data;
    char *text;
};

static void pem_done(struct pem *pem)
{
    if (pem->text)
        explicit_bzero(pem->text, pem->data.size);
    free(pem->text);
}
#define _cleanup_pem_ _cleanup_(pem_done)

static int pem_read(struct pem *pem, const char *what, const char *path, struct error *error)
{
    size_t size;
    int r = file_read(path, FILE_LIMIT, &pem->text, &size);

    if (r < 0)
        return error_set(error, r, "%s: %s can't be read: %s", what, path, strerror(-r));
    pem->data = (gnutls_datum_t){(unsigned char *)pem->text, (unsigned)size};
    return 0;
}

static int read_certificate(
        struct tls_credentials *credentials, const char *path, struct pem *pem, struct error *error)
{
    gnutls_x509_crt_t *chain = NULL;
    unsigned count = 0;
    int r = pem_read(pem, "tls.certificate", path, error);

    if (r < 0)
        return r;
    r = gnutls_x509_crt_list_import2(&chain, &count, &pem->data, GNUTLS_X509_FMT_PEM, 0);
    if (r < 0 || count == 0)
        return error_set(error, -EINVAL,
                "tls.certificate: %s has no certificate in PEM form (-----BEGIN CERTIFICATE-----): %s", path,
                gnutls_strerror(r));
    credentials->certificate = chain[0];
    for (unsigned i = 1; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    gnutls_free(chain);
    return 0;
}

static int read_key(const char *path, struct pem *pem, struct error *error)
{
    gnutls_x509_privkey_t key;
    int r = pem_read(pem, "tls.key", path, error);

    if (r < 0)
        return r;
    if (gnutls_x509_privkey_init(&key) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    r = gnutls_x509_privkey_import2(key, &pem->data, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
    gnutls_x509_privkey_deinit(key);
    if (r == GNUTLS_E_DECRYPTION_FAILED)
        return error_set(error, -EINVAL,
                "tls.key: %s is encrypted: devregd has nobody to ask for its passphrase, so take it off",
                path);
    if (r < 0)
        return error_set(error, -EINVAL,
                "tls.key: %s has no private key in PEM form (-----BEGIN PRIVATE KEY-----): %s", path,
                gnutls_strerror(r));
    return 0;
}

static int read_authority(struct tls_credentials *credentials, const char *path, struct error *error)
{
    _cleanup_pem_ struct pem pem = {0};
    int r = pem_read(&pem, "tls.client_ca", path, error);

    if (r < 0)
        return r;
    if (gnutls_x509_trust_list_init(&credentials->clients, 0) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    gnutls_certificate_set_trust_list(credentials->x509, credentials->clients, 0);
    r = gnutls_x509_trust_list_add_trust_mem(
            credentials->clients, &pem.data, NULL, GNUTLS_X509_FMT_PEM, GNUTLS_TL_USE_IN_TLS, 0);
    if (r <= 0)
        return error_set(error, -EINVAL,
                "tls.client_ca: %s has no certificate in PEM form (-----BEGIN CERTIFICATE-----): %s", path,
                gnutls_strerror(r));
    return 0;
}

static int read_files(
        const struct tls_settings *settings, struct tls_credentials **ret_credentials, struct error *error)
{
    _cleanup_(tls_credentials_unrefp) struct tls_credentials *credentials = calloc(1, sizeof(*credentials));
    _cleanup_pem_ struct pem certificate = {0}, key = {0};
    int r;

    if (!credentials || gnutls_certificate_allocate_credentials(&credentials->x509) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    credentials->references = 1;
    r = read_certificate(credentials, settings->certificate, &certificate, error);
    if (r == 0)
        r = read_key(settings->key, &key, error);
    if (r < 0)
        return r;
    r = gnutls_certificate_set_x509_key_mem2(
            credentials->x509, &certificate.data, &key.data, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (r < 0)
        return error_set(error, -EINVAL, "tls.key: %s is not the key of %s: %s", settings->key,
                settings->certificate, gnutls_strerror(r));
    r = settings->client_ca ? read_authority(credentials, settings->client_ca, error) : 0;
    if (r < 0)
        return r;
    *ret_credentials = take_ptr(credentials);
    return 0;
}

static void warn(const struct tls *tls)
{
    int64_t now = time(NULL);
    struct stat information;

    assert(tls->current);
    if (stat(tls->settings->key, &information) == 0 && information.st_mode & S_IROTH)
        log_warning("tls.key: every user can read %s: chmod o-r", tls->settings->key);
    if (certificate_ends(tls->current->certificate) <= now)
        log_warning("tls.certificate: %s has expired: clients will refuse it", tls->settings->certificate);
    if (certificate_begins(tls->current->certificate) > now)
        log_warning(
                "tls.certificate: %s is not valid yet: clients will refuse it", tls->settings->certificate);
}

/* Returns whether they are other files than at the last look. */
static bool look(struct tls *tls)
{
    const char *const paths[FILES] = {
            tls->settings->certificate, tls->settings->key, tls->settings->client_ca};
    bool differ = false;

    for (size_t i = 0; i < FILES; i++) {
        struct stamp stamp;
        struct stat information;

        /* Compared as octets, so what is between the fields must be known. */
        memset(&stamp, 0, sizeof(stamp));
        if (paths[i] && stat(paths[i], &information) == 0) {
            stamp.device = information.st_dev;
            stamp.inode = information.st_ino;
            stamp.size = information.st_size;
            stamp.modified = information.st_mtim;
            stamp.changed = information.st_ctim;
        }
        differ |= memcmp(&stamp, &tls->stamps[i], sizeof(stamp)) != 0;
        tls->stamps[i] = stamp;
    }
    return differ;
}

int tls_new(const struct tls_settings *settings, struct tls **ret_tls, struct error *error)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    int r;

    if (!tls)
        return error_set(error, -ENOMEM, "out of memory");
    tls->settings = settings;
    look(tls);
    r = read_files(settings, &tls->current, error);
    if (r < 0) {
        free(tls);
        return r;
    }
    warn(tls);
    *ret_tls = tls;
    return 0;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    tls_credentials_unref(tls->current);
    free(tls);
}

/* Files are replaced one after the other, so a pair that does not fit is no end: the next change is tried
 * again. */
static void reload(struct tls *tls)
{
    struct tls_credentials *credentials = NULL;
    struct error error;

    if (read_files(tls->settings, &credentials, &error) < 0) {
        log_warning("%s: new connections go on with the files as they were", error.message);
        return;
    }
    tls_credentials_unref(tls->current);
    tls->current = credentials;
    log_notice("%s was read anew", tls->settings->certificate);
    warn(tls);
}

struct tls_credentials *tls_current(struct tls *tls, uint64_t now_us)
{
    if (now_us - tls->looked_us >= LOOK_US) {
        tls->looked_us = now_us;
        if (look(tls))
            reload(tls);
    }
    tls->current->references++;
    return tls->current;
}

static bool has_bearable_key(const gnutls_datum_t *shown)
{
    gnutls_x509_crt_t certificate;
    gnutls_datum_t modulus = {0}, exponent = {0};
    bool bearable = false;

    if (shown->size > SHOWN_OCTETS || gnutls_x509_crt_init(&certificate) < 0)
        return false;
    if (gnutls_x509_crt_import(certificate, shown, GNUTLS_X509_FMT_DER) == 0) {
        gnutls_x509_crt_get_pk_rsa_raw(certificate, &modulus, &exponent); /* leaves them for other keys */
        bearable = modulus.size <= SHOWN_MODULUS_OCTETS && exponent.size <= SHOWN_EXPONENT_OCTETS;
    }
    gnutls_free(modulus.data);
    gnutls_free(exponent.data);
    gnutls_x509_crt_deinit(certificate);
    return bearable;
}

/* Called before GnuTLS checks the signature that a client makes with its certificate's key: with numbers as
 * large as a certificate can hold, that alone would keep the loop busy for minutes. */
static int judge_shown(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
        const gnutls_datum_t *message)
{
    unsigned count = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);

    (void)type;
    (void)when;
    (void)incoming;
    (void)message;
    return !shown || count == 0 || has_bearable_key(&shown[0]) ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

int tls_apply(struct tls_credentials *credentials, gnutls_session_t session)
{
    if (gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials->x509) < 0)
        return -ENOMEM;
    gnutls_handshake_set_hook_function(
            session, GNUTLS_HANDSHAKE_CERTIFICATE_VERIFY, GNUTLS_HOOK_POST, judge_shown);
    /* Not demanded: a token will do, and what is wrong with a certificate is said in an answer. */
    gnutls_certificate_server_set_request(
            session, credentials->clients ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_IGNORE);
    return 0;
}

bool tls_is_for(const struct tls_credentials *credentials, const char *host)
{
    size_t length = strlen(host);
    char address[64];

    if (host[0] == '[' && length > 2 && length < sizeof(address)) {
        memcpy(address, host + 1, length - 2);
        address[length - 2] = 0;
        host = address;
    }
    return gnutls_x509_crt_check_hostname(credentials->certificate, host) != 0;
}

/* The most telling reason first. */
static int refuse(unsigned status, struct error *error)
{
    static const struct {
        unsigned flag;
        const char *why;
    } rows[] = {
            {GNUTLS_CERT_EXPIRED, "has expired: have it renewed"},
            {GNUTLS_CERT_NOT_ACTIVATED, "is not valid yet: look at the clocks"},
            {GNUTLS_CERT_PURPOSE_MISMATCH,
                    "is not for clients: have one made with the extended key usage clientAuth"},
            {GNUTLS_CERT_SIGNER_NOT_FOUND, "is not signed by the authority in tls.client_ca"},
            {GNUTLS_CERT_REVOKED, "is revoked"},
            {GNUTLS_CERT_INSECURE_ALGORITHM,
                    "is signed with an algorithm or a key that is too weak: have a new one made"},
    };

    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        if (status & rows[i].flag)
            return error_set(error, -EKEYREJECTED, "the client certificate %s", rows[i].why);
    }
    return error_set(error, -EKEYREJECTED,
            "the client certificate can't be verified against the authority in tls.client_ca");
}

static int verify(const struct tls_credentials *credentials, gnutls_x509_crt_t *chain, unsigned count,
        struct error *error)
{
    gnutls_typed_vdata_st purpose = {
            .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned status = GNUTLS_CERT_INVALID;

    if (gnutls_x509_trust_list_verify_crt2(credentials->clients, chain, count, &purpose, 1,
                GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM), &status, NULL) < 0)
        status |= GNUTLS_CERT_INVALID;
    return status == 0 ? 0 : refuse(status, error);
}

/* Exactly one common name, which can be a principal's. */
static int read_name(gnutls_x509_crt_t certificate, char ret_name[TLS_NAME_SIZE], struct error *error)
{
    size_t size = TLS_NAME_SIZE, none = 0;
    int r = gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, ret_name, &size);

    if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return error_set(error, -EKEYREJECTED, "the client certificate has no common name");
    if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 1, 0, NULL, &none) !=
            GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return error_set(error, -EKEYREJECTED, "the client certificate has more than one common name");
    if (r < 0 || strlen(ret_name) != size || !principal_name_is_valid(ret_name))
        return error_set(error, -EKEYREJECTED,
                "the client certificate's common name can't be a principal's: it must have %d characters at "
                "most, printable and without blanks, quotes, commas, colons and *?[]\\",
                PRINCIPAL_SHORT_NAME);
    return 0;
}

static void free_chain(gnutls_x509_crt_t *chain, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
}

int tls_client(const struct tls_credentials *credentials, gnutls_session_t session,
        char ret_name[TLS_NAME_SIZE], uint64_t *ret_expires, struct error *error)
{
    enum { CHAIN = 8 };
    gnutls_x509_crt_t chain[CHAIN];
    unsigned shown = 0, count = 0;
    const gnutls_datum_t *data = gnutls_certificate_get_peers(session, &shown);
    int r = 0;

    if (!credentials->clients || !data || shown == 0)
        return 0;
    while (count < shown && count < CHAIN && r == 0) {
        if (gnutls_x509_crt_init(&chain[count]) < 0) {
            r = error_set(error, -ENOMEM, "out of memory");
            break;
        }
        count++;
        if (gnutls_x509_crt_import(chain[count - 1], &data[count - 1], GNUTLS_X509_FMT_DER) < 0)
            r = error_set(error, -EKEYREJECTED, "the client certificate is malformed");
    }
    if (r == 0)
        r = verify(credentials, chain, count, error);
    if (r == 0)
        r = read_name(chain[0], ret_name, error);
    if (r == 0) {
        *ret_expires = (uint64_t)certificate_ends(chain[0]);
        r = 1;
    }
    free_chain(chain, count);
    return r;
}
