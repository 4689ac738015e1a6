// RevocationLists.swift: certificate revocation lists: loading them, and what they decide.
// Belongs here: the lists in a store of certificates. Never here: when files are read again
// (TLSContextSource.swift). Source: RFC 5280; etcd's --client-crl-file and --peer-crl-file, which
// refuse what a list names and nothing else: a list that has run out still counts, and a certificate
// whose issuer has no list passes. Both are told to the operator. A list's signature is checked.

import COpenSSL

enum RevocationLists {
    /// Reads the lists of a file, PEM or DER, into a store; false leaves the reason with OpenSSL.
    static func load(_ file: String, into store: OpaquePointer) -> Bool {
        guard let lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file()) else { return false }
        if X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) < 1 {
            // The reason that is told is the one for PEM, which nearly all files are.
            let isDER = X509_load_crl_file(lookup, file, X509_FILETYPE_ASN1) == 1
            guard isDER else { return false }
            ERR_clear_error()
        }
        return X509_STORE_set_flags(
            store, UInt(X509_V_FLAG_CRL_CHECK) | UInt(X509_V_FLAG_CRL_CHECK_ALL)) == 1
    }

    /// What OpenSSL asks at each step of a certificate's verification.
    static let verdict: @convention(c) (Int32, OpaquePointer?) -> Int32 = { isGood, context in
        guard isGood == 0 else { return 1 }
        switch X509_STORE_CTX_get_error(context) {
        case X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_CRL_HAS_EXPIRED:
            X509_STORE_CTX_set_error(context, X509_V_OK)
            return 1
        default:
            return 0
        }
    }

    /// Lists that have run out, or that none of the authorities issued.
    static func warnings(
        in store: OpaquePointer, file: String, authorities: String
    ) -> [String] {
        guard let objects = X509_STORE_get0_objects(store) else { return [] }
        let all = (0..<OPENSSL_sk_num(objects)).compactMap {
            OPENSSL_sk_value(objects, $0).map { OpaquePointer($0) }
        }
        let subjects = all.compactMap { X509_OBJECT_get0_X509($0) }.compactMap {
            X509_get_subject_name($0)
        }
        var warnings: [String] = []
        for list in all.compactMap({ X509_OBJECT_get0_X509_CRL($0) }) {
            let isKnown = subjects.contains { X509_NAME_cmp($0, X509_CRL_get_issuer(list)) == 0 }
            if !isKnown {
                warnings.append(
                    "a revocation list in \(file) was issued by none of the authorities in "
                        + "\(authorities): it counts only for certificates that an authority of "
                        + "that name signed")
            }
            if let next = X509_CRL_get0_nextUpdate(list), X509_cmp_current_time(next) < 0 {
                warnings.append(
                    "a revocation list in \(file) has run out: what it revokes stays revoked, but "
                        + "what was revoked since is not known")
            }
        }
        return warnings
    }
}
