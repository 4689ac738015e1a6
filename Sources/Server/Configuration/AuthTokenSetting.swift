// AuthTokenSetting.swift: --auth-token: "simple", "", or "jwt" with its options.
// Belongs here: the text of the flag. Never here: key files (Runtime/AuthSettings+Loaded.swift), tokens (Auth/).
// Source: etcd's documentation of the flag, "jwt,pub-key=...,priv-key=...,sign-method=...,ttl=..."; five minutes is
// etcd's default of ttl.

/// What users get when they log in, as the operator wrote it.
enum AuthTokenSetting: Equatable, Sendable {
    case simple
    case jwt(JWTSetting)
    /// Nobody can log in with a password.
    case none

    /// Reads the value of the flag.
    init(_ text: String) throws(ValueProblem) {
        let words = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        switch words.first ?? "" {
        case "" where words.count <= 1: self = .none
        case "simple" where words.count == 1: self = .simple
        case "jwt": self = .jwt(try JWTSetting(options: words.dropFirst()))
        default:
            throw ValueProblem(
                expected: "\"simple\", or \"jwt,sign-method=...,pub-key=...,priv-key=...,ttl=...\"")
        }
    }
}

/// How JWTs are signed.
struct JWTSetting: Equatable, Sendable {
    var method: JWTMethod
    /// Path of the PEM file to verify with; empty: that of the private key serves for both.
    var publicKeyFile = ""
    /// Path of the file to sign with; empty: tokens come from elsewhere.
    var privateKeyFile = ""
    var lifetimeSeconds: Int64 = 300

    fileprivate init(options: ArraySlice<String>) throws(ValueProblem) {
        var values: [String: String] = [:]
        for option in options {
            guard let equals = option.firstIndex(of: "="), equals != option.startIndex else {
                throw ValueProblem(expected: "NAME=VALUE in place of \"\(option)\"")
            }
            let name = String(option[..<equals])
            guard ["sign-method", "pub-key", "priv-key", "ttl"].contains(name) else {
                throw ValueProblem(
                    expected: "sign-method, pub-key, priv-key or ttl in place of \"\(name)\"")
            }
            guard values[name] == nil else { throw ValueProblem(expected: "\(name) once") }
            values[name] = String(option[option.index(after: equals)...])
        }
        guard let name = values["sign-method"], let method = JWTMethod(name) else {
            let names = JWTMethod.names.joined(separator: ", ")
            throw ValueProblem(expected: "sign-method= with one of \(names)")
        }
        self.method = method
        publicKeyFile = values["pub-key"] ?? ""
        privateKeyFile = values["priv-key"] ?? ""
        guard !publicKeyFile.isEmpty || !privateKeyFile.isEmpty else {
            throw ValueProblem(expected: "pub-key= or priv-key= with the path of a key")
        }
        guard method.family != .hmac || !privateKeyFile.isEmpty else {
            throw ValueProblem(expected: "priv-key= with the path of the secret for \(name)")
        }
        guard let text = values["ttl"] else { return }
        guard let lifetime = GoDuration.parse(text), lifetime >= .seconds(1) else {
            throw ValueProblem(expected: "ttl= with a duration of at least 1s, such as 10m")
        }
        lifetimeSeconds = lifetime.millisecondsClamped / 1000
    }
}
