// Front+Auth.swift: the Auth service: what is left once a request is decoded.
// Belongs here: hashing before anything is passed on, tokens, local reads. Never here: whether a change is allowed, and
// what it does (Executor+Auth). Source: etcd semantics A1-A3, A9, A14; services.tsv.
//
//   Authenticate: read index -> hash compared on another thread -> login through the log -> token
//   a password goes no further than this member: the log, and other members, see its hash alone

internal import Storage
internal import Transport

extension Front {
    // MARK: reading, on local state

    func authStatus(_ call: any ServiceCall) throws(CallFailure) {
        try whenLinearizable(call) { () throws(CallFailure) in
            let isEnabled = try self.auth.isEnabled()
            var writer = ProtoWriter()
            writer.authStatusResponse(
                self.authHeader, isEnabled: isEnabled, revision: self.auth.state.revision)
            self.answer(call, writer.take())
        }
    }

    func userList(_ call: any ServiceCall) throws(CallFailure) {
        try readAuth(call, .userList) { (state, _) throws(EtcdError) in
            var writer = ProtoWriter()
            writer.authNamesResponse(self.authHeader, names: state.users.map(\.name))
            return writer.take()
        }
    }

    func roleList(_ call: any ServiceCall) throws(CallFailure) {
        try readAuth(call, .roleList) { (state, _) throws(EtcdError) in
            var writer = ProtoWriter()
            writer.authNamesResponse(self.authHeader, names: state.roles.map(\.name))
            return writer.take()
        }
    }

    func userGet(_ call: any ServiceCall, _ request: AuthNameRequest) throws(CallFailure) {
        let name = request.name.utf8Bytes
        try readAuth(call, .userGet) { (state, caller) throws(EtcdError) in
            if state.isEnabled { try state.checkRoot(caller, orIsUser: name) }
            guard let user = state.user(name) else { throw .userNotFound }
            var writer = ProtoWriter()
            writer.authNamesResponse(self.authHeader, names: user.roles)
            return writer.take()
        }
    }

    func roleGet(_ call: any ServiceCall, _ request: AuthNameRequest) throws(CallFailure) {
        let name = request.name.utf8Bytes
        try readAuth(call, .roleGet) { (state, caller) throws(EtcdError) in
            if state.isEnabled { try state.checkRoot(caller, orHasRole: name) }
            guard let role = state.role(name) else { throw .roleNotFound }
            // What the role "root" may do is not written down.
            let permissions =
                name == AuthState.root
                ? [WirePermission(kind: 2, rangeEnd: [0])]
                : role.permissions.map {
                    WirePermission(
                        kind: Int32($0.kind.rawValue), key: Bytes($0.key),
                        rangeEnd: Bytes($0.rangeEnd))
                }
            var writer = ProtoWriter()
            writer.authRoleGetResponse(self.authHeader, permissions: permissions)
            return writer.take()
        }
    }

    private var authHeader: ResponseHeader {
        context.header(revision: max(1, context.status.revision))
    }

    /// Answers from the users as they are once every change acknowledged before now is known.
    private func readAuth(
        _ call: any ServiceCall, _ method: Method,
        _ body: @escaping (AuthState, Caller?) throws(EtcdError) -> [UInt8]
    ) throws(CallFailure) {
        try whenLinearizable(call) { () throws(CallFailure) in
            let caller = try self.auth.isEnabled() ? self.auth.caller(call.credentials) : nil
            let state = self.auth.state
            let message: [UInt8]
            do throws(EtcdError) {
                if state.isEnabled { try state.check(method.access.need, caller) }
                message = try body(state, caller)
            } catch {
                throw CallFailure(error)
            }
            self.answer(call, message)
        }
    }

    // MARK: passwords

    func addUser(
        _ call: any ServiceCall, _ request: AuthUserAddRequest, _ byteCount: Int
    ) throws(CallFailure) {
        var stored = request
        stored.password = ""
        stored.hashedPassword = ""
        guard !request.options.noPassword else {
            return try submit(call, .auth(.addUser(stored)), byteCount)
        }
        try hash(call, request.password, for: .userAdd) { (hash) throws(CallFailure) in
            stored.hashedPassword = hash
            try self.submit(call, .auth(.addUser(stored)), byteCount)
        }
    }

    func changePassword(
        _ call: any ServiceCall, _ request: AuthUserChangePasswordRequest, _ byteCount: Int
    ) throws(CallFailure) {
        var stored = request
        stored.password = ""
        if request.password.isEmpty {
            stored.hashedPassword = try Front.checkedHash(request.hashedPassword)
            return try submit(call, .auth(.changePassword(stored)), byteCount)
        }
        try hash(call, request.password, for: .userChangePassword) { (hash) throws(CallFailure) in
            stored.hashedPassword = hash
            try self.submit(call, .auth(.changePassword(stored)), byteCount)
        }
    }

    /// A hash that the client made itself: base64 of bcrypt's text; empty: the user can't log in any more.
    private static func checkedHash(_ base64: String) throws(CallFailure) -> String {
        guard let hash = Base64.decode(base64.utf8Bytes) else {
            throw CallFailure(.noPasswordUser)
        }
        guard hash.isEmpty || PasswordHash.isHash(hash) else {
            throw CallFailure(.invalidPasswordHash)
        }
        return String(decoding: hash, as: UTF8.self)
    }

    /// Hashes a password for whoever may set one, away from this loop.
    private func hash(
        _ call: any ServiceCall, _ password: String, for method: Method,
        then next: @escaping (String) throws(CallFailure) -> Void
    ) throws(CallFailure) {
        let bytes = password.utf8Bytes
        guard bytes.count <= AuthLimits.passwordBytesMax else {
            throw CallFailure(.passwordTooLong)
        }
        guard !bytes.contains(0) else { throw CallFailure(.passwordHoldsNUL) }
        // Hashing is work: nobody gets it for nothing.
        try whenLinearizable(call) { () throws(CallFailure) in
            if try self.auth.isEnabled() {
                try self.check(method, try self.auth.caller(call.credentials))
            }
            let cost = self.auth.settings.bcryptCost
            let salt = self.auth.randomBytes(PasswordHash.saltBytes)
            try self.compute(
                call, { PasswordHash.make(bytes, cost: cost, salt: salt) },
                then: { (hash) throws(CallFailure) in
                    guard let hash else { throw CallFailure(.tooManyRequests) }
                    try next(String(decoding: hash, as: UTF8.self))
                })
        }
    }

    /// Does work away from this loop and goes on with what came of it, if the call still is.
    private func compute(
        _ call: any ServiceCall, _ work: @escaping @Sendable () -> [UInt8]?,
        then next: @escaping ([UInt8]?) throws(CallFailure) -> Void
    ) throws(CallFailure) {
        let isTaken = context.environment.compute(work) { [self] result in
            guard call.isOpen else { return }
            do throws(CallFailure) {
                try next(result)
            } catch {
                end(call, error.status)
            }
        }
        guard isTaken else { throw CallFailure(.tooManyRequests) }
    }

    // MARK: logging in

    func authenticate(
        _ call: any ServiceCall, _ request: AuthenticateRequest
    ) throws(CallFailure) {
        try whenLinearizable(call) { () throws(CallFailure) in
            guard try self.auth.isEnabled() else { throw CallFailure(.authNotEnabled) }
            try self.checkPassword(call, request)
        }
    }

    private func checkPassword(
        _ call: any ServiceCall, _ request: AuthenticateRequest
    ) throws(CallFailure) {
        let password = request.password.utf8Bytes
        let user = auth.state.user(request.name.utf8Bytes)
        if let user {
            guard !user.hasNoPassword else { throw CallFailure(.noPasswordUser) }
            if passwords.holds(user, password, now: context.environment.now) {
                return try logIn(call, user)
            }
        }
        // A name that there is not takes as long as a wrong password: nobody learns who there is.
        let hash = user?.hash ?? []
        let work: @Sendable () -> [UInt8]? = {
            let isRight = PasswordHash.matches(password, hash.isEmpty ? Front.noHash : hash)
            return isRight && !hash.isEmpty ? [] : nil
        }
        try compute(
            call, work,
            then: { (result) throws(CallFailure) in
                guard result != nil, let user else { throw CallFailure(.authenticationFailed) }
                self.passwords.add(user, password, now: self.context.environment.now)
                try self.logIn(call, user)
            })
    }

    // Of cost 10, and of no password that anybody knows.
    private static let noHash = Array(
        "$2a$10$8KzaNdKIMyOkASCH4QvSKuEMIY7Jc3vcHDuSJvXLii1rvBNgz60a6".utf8)

    private func logIn(_ call: any ServiceCall, _ user: AuthUserRow) throws(CallFailure) {
        switch auth.settings.tokens {
        case .simple:
            let secret = auth.makeSecret()
            let login = LoginRequest(
                name: String(decoding: user.name, as: UTF8.self), hash: Bytes(user.hash),
                digest: Bytes(SecretDigest.of(secret.utf8Bytes)))
            try submit(call, .auth(.login(login)), 0, purpose: .login(secret: secret))
        case .jwt(let provider):
            guard provider.canSign else { throw CallFailure(.verifyOnlyKey) }
            let revision = auth.state.revision
            let now = context.environment.wallClockSeconds
            let name = user.name
            try compute(
                call, { provider.sign(user: name, revision: revision, now: now) },
                then: { (token) throws(CallFailure) in
                    guard let token else { throw CallFailure(.authenticationFailed) }
                    self.answer(
                        call, token: String(decoding: token, as: UTF8.self),
                        header: self.authHeader)
                })
        case .none: throw CallFailure(.authenticationFailed)
        }
    }

    /// The login is agreed: the client gets its token.
    func loggedIn(_ call: any ServiceCall, secret: String, _ message: [UInt8]) {
        guard call.isOpen else { return }
        do throws(WireError) {
            let login = try LoginResponse(decoding: message)
            answer(call, token: "\(secret).\(login.index)", header: login.header)
        } catch {
            call.finish(error.unaryStatus)
        }
    }

    private func answer(_ call: any ServiceCall, token: String, header: ResponseHeader) {
        var writer = ProtoWriter()
        writer.authenticateResponse(header, token: token)
        answer(call, writer.take())
    }
}
