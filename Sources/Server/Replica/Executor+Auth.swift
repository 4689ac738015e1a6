// Executor+Auth.swift: users, roles, permissions and logins, as rows.
// Belongs here: what each change checks and writes. Never here: who may ask for it (Executor+Access.swift), passwords.
// Source: etcd semantics A1-A3, A10-A12, A14. Nothing is written before the last check.

internal import Storage

extension Executor {
    /// Carries out a change of the auth tables.
    func change(_ command: AuthCommand) throws(RequestFailure) -> [UInt8] {
        switch command {
        case .enable: try enableAuth()
        case .disable: try disableAuth()
        case .addUser(let request): try addUser(request)
        case .deleteUser(let request): try deleteUser(request.name.utf8Bytes)
        case .changePassword(let request): try changePassword(request)
        case .grantRole(let request):
            try grantRole(request.role.utf8Bytes, to: request.user.utf8Bytes)
        case .revokeRole(let request):
            try revokeRole(request.role.utf8Bytes, from: request.user.utf8Bytes)
        case .addRole(let request): try addRole(request.name.utf8Bytes)
        case .deleteRole(let request): try deleteRole(request.name.utf8Bytes)
        case .grantPermission(let request): try grantPermission(request)
        case .revokePermission(let request): try revokePermission(request)
        case .login(let request): return try login(request)
        }
        var writer = ProtoWriter()
        writer.headerOnlyResponse(header(revision: keys.revision))
        return writer.take()
    }

    // MARK: the whole

    private func enableAuth() throws(RequestFailure) {
        guard !auth.isEnabled else { return }
        guard let root = auth.user(AuthState.root) else { throw .refused(.rootUserNotFound) }
        guard root.roles.contains(AuthState.root) else { throw .refused(.rootRoleNotGranted) }
        // The revision stays: what users and roles say is not changed by it (A2).
        try writeAuth(raisesRevision: false) { (table) throws(StorageError) in
            try table.setEnabled(true)
        }
    }

    private func disableAuth() throws(RequestFailure) {
        guard auth.isEnabled else { return }
        try storing { () throws(StorageError) in try loginTable.removeAll() }
        logins.removeAll()
        try writeAuth { (table) throws(StorageError) in try table.setEnabled(false) }
    }

    // MARK: users

    private func addUser(_ request: AuthUserAddRequest) throws(RequestFailure) {
        let name = request.name.utf8Bytes
        guard !name.isEmpty else { throw .refused(.userNameEmpty) }
        guard auth.user(name) == nil else { throw .refused(.userExists) }
        guard auth.users.count < AuthLimits.usersMax else { throw .refused(.tooManyRequests) }
        let hasNoPassword = request.options.noPassword
        let row = AuthUserRow(
            name: name, hash: hasNoPassword ? [] : request.hashedPassword.utf8Bytes,
            hasNoPassword: hasNoPassword)
        try writeAuth { (table) throws(StorageError) in try table.setUser(row) }
    }

    private func deleteUser(_ name: [UInt8]) throws(RequestFailure) {
        if auth.isEnabled, name == AuthState.root { throw .refused(.invalidAuthManagement) }
        _ = try user(name)
        try endLogins(of: name)
        try writeAuth { (table) throws(StorageError) in try table.removeUser(name) }
    }

    private func changePassword(
        _ request: AuthUserChangePasswordRequest
    ) throws(RequestFailure) {
        var row = try user(request.name.utf8Bytes)
        if !row.hasNoPassword { row.hash = request.hashedPassword.utf8Bytes }
        try endLogins(of: row.name)
        try writeAuth { (table) throws(StorageError) in try table.setUser(row) }
    }

    private func grantRole(_ role: [UInt8], to name: [UInt8]) throws(RequestFailure) {
        let row = try user(name)
        // Anybody may be given the role "root", which need not exist (A1).
        if role != AuthState.root { _ = try self.role(role) }
        guard !row.roles.contains(role) else { return }
        guard row.roles.count < AuthLimits.rolesPerUserMax else {
            throw .refused(.tooManyRequests)
        }
        try writeAuth { (table) throws(StorageError) in try table.grant(role, to: name) }
    }

    private func revokeRole(_ role: [UInt8], from name: [UInt8]) throws(RequestFailure) {
        if auth.isEnabled, name == AuthState.root, role == AuthState.root {
            throw .refused(.invalidAuthManagement)
        }
        guard try user(name).roles.contains(role) else { throw .refused(.roleNotGranted) }
        try writeAuth { (table) throws(StorageError) in try table.revoke(role, from: name) }
    }

    // MARK: roles

    private func addRole(_ name: [UInt8]) throws(RequestFailure) {
        guard !name.isEmpty else { throw .refused(.roleNameEmpty) }
        guard auth.role(name) == nil else { throw .refused(.roleExists) }
        guard auth.roles.count < AuthLimits.rolesMax else { throw .refused(.tooManyRequests) }
        try writeAuth { (table) throws(StorageError) in try table.addRole(name) }
    }

    private func deleteRole(_ name: [UInt8]) throws(RequestFailure) {
        if auth.isEnabled, name == AuthState.root { throw .refused(.invalidAuthManagement) }
        _ = try role(name)
        try writeAuth { (table) throws(StorageError) in try table.removeRole(name) }
    }

    private func grantPermission(
        _ request: AuthRoleGrantPermissionRequest
    ) throws(RequestFailure) {
        guard let given = request.permission else { throw .refused(.permissionNotGiven) }
        guard given.namesKeys else { throw .refused(.invalidAuthManagement) }
        let row = try role(request.role.utf8Bytes)
        // Nobody could tell what an unknown kind allows.
        guard let kind = AuthPermissionRow.Kind(rawValue: Int64(given.kind)) else {
            throw .refused(.invalidAuthManagement)
        }
        let permission = AuthPermissionRow(
            key: given.key.array, rangeEnd: given.rangeEnd.array, kind: kind)
        let isNew = !row.permissions.contains {
            $0.key == permission.key && $0.rangeEnd == permission.rangeEnd
        }
        guard !isNew || row.permissions.count < AuthLimits.permissionsPerRoleMax else {
            throw .refused(.tooManyRequests)
        }
        try writeAuth { (table) throws(StorageError) in
            try table.setPermission(permission, of: row.name)
        }
    }

    private func revokePermission(
        _ request: AuthRoleRevokePermissionRequest
    ) throws(RequestFailure) {
        let row = try role(request.role.utf8Bytes)
        let (key, rangeEnd) = (request.key.array, request.rangeEnd.array)
        guard row.permissions.contains(where: { $0.key == key && $0.rangeEnd == rangeEnd }) else {
            throw .refused(.permissionNotGranted)
        }
        try writeAuth { (table) throws(StorageError) in
            try table.removePermission(key: key, rangeEnd: rangeEnd, of: row.name)
        }
    }

    // MARK: logins

    /// Notes a login whose password the asking member found to be right.
    private func login(_ request: LoginRequest) throws(RequestFailure) -> [UInt8] {
        guard auth.isEnabled else { throw .refused(.authNotEnabled) }
        let name = request.name.utf8Bytes
        guard let row = auth.user(name), !row.hasNoPassword, row.hash == request.hash.array,
            request.digest.count == AuthLimits.digestBytes
        else { throw .refused(.authenticationFailed) }
        guard logins.count < AuthLimits.loginsMax,
            logins.count(of: name) < AuthLimits.loginsPerUserMax
        else { throw .refused(.tooManyRequests) }
        let digest = request.digest.array
        try storing { () throws(StorageError) in
            try loginTable.add(AuthTokenRow(digest: digest, user: name, index: logIndex))
        }
        logins.add(digest, of: name, now: now)
        var writer = ProtoWriter()
        writer.authenticateResponse(header(revision: keys.revision), token: "\(logIndex)")
        return writer.take()
    }

    /// Ends logins whose time is over; ended already is no error.
    func endLogins(_ digests: [[UInt8]]) throws(RequestFailure) {
        try storing { () throws(StorageError) in
            for digest in digests { try loginTable.remove(digest: digest) }
        }
        digests.forEach { logins.remove($0) }
    }

    private func endLogins(of user: [UInt8]) throws(RequestFailure) {
        try endLogins(logins.removeAll(of: user))
    }

    // MARK: reading and writing

    private func user(_ name: [UInt8]) throws(RequestFailure) -> AuthUserRow {
        guard let row = auth.user(name) else { throw .refused(.userNotFound) }
        return row
    }

    private func role(_ name: [UInt8]) throws(RequestFailure) -> AuthRoleRow {
        guard let row = auth.role(name) else { throw .refused(.roleNotFound) }
        return row
    }

    /// Changes the tables; from here on requests are checked against what they say then.
    private func writeAuth(
        raisesRevision: Bool = true, _ body: (AuthTable) throws(StorageError) -> Void
    ) throws(RequestFailure) {
        auth = try storing { () throws(StorageError) in
            try body(authTable)
            if raisesRevision { try authTable.setRevision(auth.revision + 1) }
            return try AuthState(authTable)
        }
    }
}

extension WirePermission {
    /// Whether a key can lie in its range (A11).
    var namesKeys: Bool {
        guard !key.isEmpty else { return false }
        guard case .before(let end) = KeyBounds(key: key, rangeEnd: rangeEnd).end else {
            return true
        }
        return key < end
    }
}

extension String {
    /// The bytes of a name, which compare as etcd compares names: two texts that look alike are two names.
    var utf8Bytes: [UInt8] { Array(utf8) }
}
