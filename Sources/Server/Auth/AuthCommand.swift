// AuthCommand.swift: the changes of the auth tables, as they go through the log.
// Belongs here: the list. Never here: what each does (Executor+Auth.swift).
// Source: etcdserverpb.Auth; passwords are hashed before they come here (etcd semantics A14).

/// A change of users, roles, permissions or logins.
enum AuthCommand: Sendable {
    case enable
    case disable
    case addUser(AuthUserAddRequest)
    case deleteUser(AuthNameRequest)
    case changePassword(AuthUserChangePasswordRequest)
    case grantRole(AuthUserRoleRequest)
    case revokeRole(AuthUserRoleRequest)
    case addRole(AuthNameRequest)
    case deleteRole(AuthNameRequest)
    case grantPermission(AuthRoleGrantPermissionRequest)
    case revokePermission(AuthRoleRevokePermissionRequest)
    case login(LoginRequest)

    /// The RPC that asks for it.
    var method: Method {
        switch self {
        case .enable: .authEnable
        case .disable: .authDisable
        case .addUser: .userAdd
        case .deleteUser: .userDelete
        case .changePassword: .userChangePassword
        case .grantRole: .userGrantRole
        case .revokeRole: .userRevokeRole
        case .addRole: .roleAdd
        case .deleteRole: .roleDelete
        case .grantPermission: .roleGrantPermission
        case .revokePermission: .roleRevokePermission
        case .login: .authenticate
        }
    }
}
