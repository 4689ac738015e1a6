// LoopAuth.swift: what one event loop knows of users, and how it finds out who calls.
// Belongs here: from credentials to a caller: the one way, for gRPC and for the JSON gateway. Never here: what a caller
// may do (AuthState.swift, AccessTable.swift), logging in (Front+Auth.swift).
// Source: etcd semantics G10, A4, A5, A12, A13, A15.
//
// Invariant: what is known is at least as new as the state published last when it is asked for: what the log ordered
// before a read is taken into account by it.

internal import Storage

/// The users as one event loop knows them; confined to it.
final class LoopAuth {
    /// What credentials prove.
    enum Proof {
        /// Nothing was brought along.
        case nobody
        case caller(Caller)
        /// A token of a login that another member wrote down, and that has not come here yet.
        case notYet
    }

    private struct KnownToken {
        let caller: Caller
        /// Until then nothing needs to be looked up.
        let isGoodUntil: Tick
        /// Seconds since 1970 at which it ends by itself.
        let ends: Int64?
        /// The keys it was checked with; 0 where there are none.
        var keys: UInt64 = 0
    }

    let settings: AuthSettings
    private let status: SharedStatus
    private let store: LoopStore
    private let environment: any LoopEnvironment
    private(set) var state = AuthState()
    private var mark: AuthMark?
    // Looked up by token, never iterated.
    private var tokens: [String: KnownToken] = [:]

    init(
        settings: AuthSettings, status: SharedStatus, store: LoopStore,
        environment: any LoopEnvironment
    ) {
        self.settings = settings
        self.status = status
        self.store = store
        self.environment = environment
    }

    // MARK: the state

    /// Whether calls are checked, as of what is published now.
    ///
    /// - Throws: if the tables can't be read: then nobody knows, and nothing may be served.
    func isEnabled() throws(CallFailure) -> Bool {
        if mark != status.authMark { try reload() }
        return state.isEnabled
    }

    /// Whether calls are checked; what is known is no older than a state that was read.
    func isEnabled(reading view: StoreView) throws(CallFailure) -> Bool {
        if mark != view.authMark { try reload() }
        return try isEnabled()
    }

    /// Whether a state that was read has the users that are known.
    func isCurrent(_ view: StoreView) -> Bool { mark == view.authMark }

    private func reload() throws(CallFailure) {
        do throws(StorageError) {
            (state, mark) = try store.read { (reader, view) throws(StorageError) in
                (try AuthState.read(on: reader.connection), view.authMark)
            }
        } catch {
            store.report(error)
            throw CallFailure(error)
        }
        // Their revisions are those of then, and a user may have lost them.
        tokens = [:]
    }

    // MARK: who calls

    /// Who calls, for a request that was let wait already: what is not known by now, is not.
    func caller(_ credentials: Credentials) throws(CallFailure) -> Caller? {
        switch try proof(credentials) {
        case .nobody: return nil
        case .caller(let caller): return caller
        case .notYet: throw CallFailure(.invalidAuthToken)
        }
    }

    /// Who calls, where calls are checked.
    ///
    /// - Throws: `invalidAuthToken` for a token that is none.
    func proof(_ credentials: Credentials) throws(CallFailure) -> Proof {
        guard let given = credentials.token else {
            guard settings.trustsCertificates, let name = credentials.commonName, !name.isEmpty
            else { return .nobody }
            return .caller(Caller(name: name.utf8Bytes, revision: state.revision))
        }
        guard given.utf8.count <= AuthLimits.tokenBytesMax else {
            throw CallFailure(.invalidAuthToken)
        }
        if let known = tokens[given], known.keys == keys, environment.now < known.isGoodUntil,
            known.ends.map({ environment.wallClockSeconds < $0 }) ?? true
        {
            return .caller(known.caller)
        }
        let token = Self.withoutScheme(given)
        switch settings.tokens {
        case .simple: return try simpleProof(token, as: given)
        case .jwt(let provider): return try jwtProof(token, provider, as: given)
        case .none: throw CallFailure(.invalidAuthToken)
        }
    }

    /// Which keys tokens are checked with.
    private var keys: UInt64 {
        if case .jwt(let provider) = settings.tokens { provider.generation } else { 0 }
    }

    /// Newer releases of etcd take a token in the form of RFC 6750 too.
    private static func withoutScheme(_ text: String) -> String {
        let scheme = "bearer "
        guard text.utf8.count > scheme.utf8.count,
            text.prefix(scheme.count).lowercased() == scheme
        else { return text }
        return String(text.dropFirst(scheme.count))
    }

    // MARK: simple tokens: secret "." log index

    private func simpleProof(_ token: String, as given: String) throws(CallFailure) -> Proof {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, let index = UInt64(parts[1]) else {
            throw CallFailure(.invalidAuthToken)
        }
        let digest = SecretDigest.of(Array(parts[0].utf8))
        // Asked first: what was not applied then may be when the store is read.
        let isAhead = index > status.applied
        let row: AuthTokenRow?
        do throws(StorageError) {
            row = try store.read { (reader, _) throws(StorageError) in
                guard try AuthTable.exists(on: reader.connection) else { return nil }
                return try AuthTokenTable(connection: reader.connection).row(digest: digest)
            }
        } catch {
            store.report(error)
            throw CallFailure(error)
        }
        guard let row, row.index == index else {
            if row == nil, isAhead { return .notYet }
            throw CallFailure(.invalidAuthToken)
        }
        let caller = Caller(name: row.user, revision: state.revision)
        remember(
            given, KnownToken(caller: caller, isGoodUntil: nextRenewal, ends: nil))
        renew(digest)
        return .caller(caller)
    }

    private var nextRenewal: Tick {
        environment.now.advanced(
            milliseconds: settings.tokenTTLSeconds * 1000 / AuthLimits.renewalsPerLifetime)
    }

    // Lost on the way it comes again with a later use; so nobody waits for it.
    private func renew(_ digest: [UInt8]) {
        _ = environment.submit(
            ReplicaRequest(
                origin: .nobody, body: .loginUsed(LoginUsedRequest(digest: Bytes(digest))),
                byteCount: digest.count))
    }

    /// A fresh secret for a token.
    func makeSecret() -> String {
        var letters: [UInt8] = []
        while letters.count < AuthLimits.secretLetters {
            var bits = environment.nonce
            for _ in 0..<10 where letters.count < AuthLimits.secretLetters {
                // Numbers beyond the alphabet are passed over: each letter is as likely as any other.
                if let letter = Self.letter(Int(bits & 63)) { letters.append(letter) }
                bits >>= 6
            }
        }
        return String(decoding: letters, as: UTF8.self)
    }

    private static func letter(_ number: Int) -> UInt8? {
        switch number {
        case 0..<26: UInt8(ascii: "a") + UInt8(number)
        case 26..<52: UInt8(ascii: "A") + UInt8(number - 26)
        default: nil
        }
    }

    /// Random bytes for a salt or a key.
    func randomBytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            withUnsafeBytes(of: environment.nonce.littleEndian) { bytes.append(contentsOf: $0) }
        }
        return Array(bytes.prefix(count))
    }

    // MARK: JWT

    private func jwtProof(
        _ token: String, _ provider: JWTProvider, as given: String
    ) throws(CallFailure) -> Proof {
        // Asked first: a token found valid by older keys is checked anew.
        let generation = provider.generation
        guard let claims = provider.verify(token, now: environment.wallClockSeconds) else {
            throw CallFailure(.invalidAuthToken)
        }
        let caller = Caller(name: claims.user, revision: claims.revision)
        remember(
            given,
            KnownToken(
                caller: caller, isGoodUntil: nextRenewal, ends: claims.ends, keys: generation))
        return .caller(caller)
    }

    private func remember(_ token: String, _ known: KnownToken) {
        if tokens.count >= AuthLimits.tokensPerLoopMax { tokens = [:] }
        tokens[token] = known
    }
}
