// AuthSupport.swift: users, logins and permissions for tests, and keys at random.
// Belongs here: what tests of auth set up. Never here: expectations, driving calls (GuardedRig.swift).

import Testing
import Transport

@testable import Server

extension GuardedRig {
    /// A member with user and role "root", and auth on.
    static func enabled(auth: AuthSettings = AuthSettings(bcryptCost: 4)) throws -> GuardedRig {
        let rig = try GuardedRig(auth: auth)
        for (method, message) in [
            (Method.userAdd, AuthUserAddRequest(name: "root", password: "r").encoded()),
            (.userGrantRole, AuthUserRoleRequest(user: "root", role: "root").encoded()),
            (.authEnable, []),
        ] {
            let status = rig.call(method, message).status
            #expect(status == .ok, "\(method)")
        }
        return rig
    }

    /// Logs in; nil if that is refused.
    func logIn(_ name: String, _ password: String) -> String? {
        let request = AuthenticateRequest(name: name, password: password)
        let call = call(.authenticate, request.encoded())
        guard call.status == .ok, let message = call.messages.first else { return nil }
        do throws(WireError) {
            // In the answer to a client it is the whole token.
            return try LoginResponse(decoding: message).index
        } catch {
            return nil
        }
    }

    /// Makes a user with one role of its name that has these permissions, and logs it in.
    func make(_ name: String, _ permissions: [WirePermission], root: String) throws -> String {
        let requests: [(Method, [UInt8])] =
            [
                (.userAdd, AuthUserAddRequest(name: name, password: "p").encoded()),
                (.roleAdd, AuthNameRequest(name: name).encoded()),
                (.userGrantRole, AuthUserRoleRequest(user: name, role: name).encoded()),
            ]
            + permissions.map {
                (
                    .roleGrantPermission,
                    AuthRoleGrantPermissionRequest(role: name, permission: $0).encoded()
                )
            }
        for (method, message) in requests {
            let status = call(method, message, token: root).status
            #expect(status == .ok, "\(method)")
        }
        return try #require(logIn(name, "p"))
    }
}

extension ModelKeys {
    /// A key of one or two letters.
    static func key(_ random: inout WireRandom) -> [UInt8] {
        (0...(random.bool() ? 1 : 0)).map { _ in letters.randomElement(using: &random) ?? 0 }
    }

    static func rangeEnd(_ random: inout WireRandom) -> [UInt8] {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: []
        case 1: [0]
        default: key(&random)
        }
    }
}
