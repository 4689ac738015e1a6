// JWTProvider.swift: tokens that say for themselves who they are for.
// Belongs here: claims, and what makes a token valid. Never here: signatures (JWTMethod.swift), reading key files.
// Source: RFC 7515, RFC 7519; etcd semantics A4: the claims are username, revision and exp.

/// What a valid token says.
struct JWTClaims: Equatable, Sendable {
    /// The user's name, UTF-8.
    let user: [UInt8]
    /// The auth revision it was issued under.
    let revision: UInt64
    /// Seconds since 1970 at which it ends; nil: never.
    let ends: Int64?
}

/// What tokens are checked and signed with.
struct JWTKeys: Sendable {
    let verifying: JWTKey
    /// Nil where only others issue tokens.
    let signing: JWTKey?
    /// Grows with each change: what was found valid by other keys has to be checked anew.
    var generation: UInt64 = 0
}

/// Issues and checks tokens.
final class JWTProvider: Sendable {
    private let method: JWTMethod
    private let keys: @Sendable () -> JWTKeys
    private let lifetimeSeconds: Int64

    /// - Parameters:
    ///   - lifetimeSeconds: How long a token is valid.
    ///   - keys: The keys of now; any thread asks.
    init(
        method: JWTMethod, lifetimeSeconds: Int64, keys: @escaping @Sendable () -> JWTKeys
    ) {
        self.method = method
        self.keys = keys
        self.lifetimeSeconds = lifetimeSeconds
    }

    /// Whether tokens can be issued here.
    var canSign: Bool { keys().signing != nil }

    /// Which keys are in use.
    var generation: UInt64 { keys().generation }

    /// A token as text; nil if it can't be signed.
    func sign(user: [UInt8], revision: UInt64, now: Int64) -> [UInt8]? {
        guard let signing = keys().signing else { return nil }
        var claims = Array("{\"exp\":\(now + lifetimeSeconds),\"revision\":\(revision)".utf8)
        claims += Array(",\"username\":".utf8)
        JSONText.append(String(decoding: user, as: UTF8.self), to: &claims)
        claims.append(UInt8(ascii: "}"))
        var text = Self.base64(Array("{\"alg\":\"\(method.name)\",\"typ\":\"JWT\"}".utf8))
        text.append(UInt8(ascii: "."))
        text += Self.base64(claims)
        guard let signature = signing.sign(text) else { return nil }
        return text + [UInt8(ascii: ".")] + Self.base64(signature)
    }

    /// What a token says; nil if it is not valid now.
    func verify(_ token: String, now: Int64) -> JWTClaims? {
        let parts = Array(token.utf8).split(
            separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Base64.decode(Array(parts[0])),
            let payload = Base64.decode(Array(parts[1])),
            let signature = Base64.decode(Array(parts[2])),
            // A token must not choose how it is checked.
            Members(header)?.texts["alg"] == method.name
        else { return nil }
        let signed = Array(parts[0]) + [UInt8(ascii: ".")] + Array(parts[1])
        guard keys().verifying.verifies(signature, of: signed), let claims = Members(payload) else {
            return nil
        }
        return Self.claims(claims, now: now)
    }

    private static func claims(_ members: Members, now: Int64) -> JWTClaims? {
        guard let user = members.texts["username"], !user.isEmpty,
            let revision = members.numbers["revision"].flatMap({
                UInt64(exactly: $0.rounded(.down))
            })
        else { return nil }
        // One that is there and is no number makes the token void.
        let ends = members.numbers["exp"].flatMap { Int64(exactly: $0.rounded(.down)) }
        guard ends != nil || !members.names.contains("exp") else { return nil }
        if let ends, now >= ends { return nil }
        let begins = members.numbers["nbf"]
        guard begins != nil || !members.names.contains("nbf") else { return nil }
        if let begins, Double(now) < begins { return nil }
        return JWTClaims(user: user.utf8Bytes, revision: revision, ends: ends)
    }

    private static func base64(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        bytes.withUnsafeBytes { Base64.encode($0, into: &text) }
        return text.filter { $0 != UInt8(ascii: "=") }.map { byte in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            default: byte
            }
        }
    }

    /// The texts and numbers of a JSON object; whatever else it holds is passed over.
    private struct Members {
        var names: Set<String> = []
        var texts: [String: String] = [:]
        var numbers: [String: Double] = [:]

        /// Nil if the bytes are no JSON object.
        init?(_ bytes: [UInt8]) {
            do throws(JSONError) {
                try read(bytes)
            } catch {
                return nil
            }
        }

        private mutating func read(_ bytes: [UInt8]) throws(JSONError) {
            var reader = JSONReader(bytes)
            try reader.open("{")
            var isFirst = true
            while try reader.hasNext("}", isFirst: isFirst) {
                isFirst = false
                let name = try reader.text()
                try reader.expect(":")
                names.insert(name)
                (texts[name], numbers[name]) = (nil, nil)
                switch try reader.peek() {
                case UInt8(ascii: "\""): texts[name] = try reader.text()
                case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                    let digits = String(decoding: try reader.number(), as: UTF8.self)
                    numbers[name] = Double(digits)
                default: try reader.skipValue()
                }
            }
            guard reader.isAtEnd else { throw .trailing(offset: reader.offset) }
        }
    }
}
