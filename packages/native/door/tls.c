#include "door.h"
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

SSL_CTX *tls_begin(const char *ca, const char *cert, const char *key) {
  SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
  if (!tls) return NULL;
  SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  /* safety: F27: a resumed session would not show its certificate again */
  if (SSL_CTX_set_num_tickets(tls, 0) != 1 || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
      SSL_CTX_load_verify_file(tls, ca) != 1 || SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(tls) != 1) {
    fprintf(stderr, "fenceline-door: can't use %s, %s and %s: %s\n", ca, cert, key,
            ERR_reason_error_string(ERR_peek_error()));
    SSL_CTX_free(tls);
    return NULL;
  }
  return tls;
}

bool tls_who(SSL *ssl, unsigned char who[WHO_BYTES]) {
  unsigned n = 0;
  const X509 *shown = SSL_get0_peer_certificate(ssl);
  return shown && X509_digest(shown, EVP_sha256(), who, &n) == 1 && n == WHO_BYTES;
}
bool tls_is_sibling(SSL *ssl) {
  X509 *shown = SSL_get0_peer_certificate(ssl);
  if (!shown || SSL_get_verify_result(ssl) != X509_V_OK) return false;
  X509_NAME *name = X509_get_subject_name(shown);
  int at = X509_NAME_get_index_by_NID(name, NID_organizationalUnitName, -1);
  /* Two roles in one name are none. */
  if (at < 0 || X509_NAME_get_index_by_NID(name, NID_organizationalUnitName, at) >= 0) return false;
  const ASN1_STRING *unit = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  static const char WANTED[] = "sibling";
  return ASN1_STRING_length(unit) == (int)sizeof WANTED - 1 &&
         memcmp(ASN1_STRING_get0_data(unit), WANTED, sizeof WANTED - 1) == 0;
}
