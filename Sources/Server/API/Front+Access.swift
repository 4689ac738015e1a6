// Front+Access.swift: every call of this loop, held against the table of what methods need.
// Belongs here: when a call is checked, and which calls wait. Never here: the table (Auth/AccessTable.swift), who calls
// (Auth/LoopAuth.swift). Source: etcd semantics A4-A9, W20; design section 3.
//
//   call --(token of a login not here yet)--> waits for a read index, in order --> again
//     \--> onArrival: checked here    onReading: by the read itself    onExecution: by the leader

internal import Storage
internal import Transport

/// Messages of one call that wait until its token is known here.
struct WaitingMessages {
    let call: any ServiceCall
    let method: Method
    var messages: [[UInt8]]
}

extension Front {
    /// Whether a message may be dispatched now, where calls are checked; one that may not yet comes again.
    func admit(
        _ call: any ServiceCall, _ method: Method, _ message: [UInt8], mayWait: Bool
    ) throws(CallFailure) -> Bool {
        let rule = method.access
        guard rule.need != .nothing else { return true }
        if !waiting.isEmpty, let place = waiting.firstIndex(where: { $0.call === call }) {
            try keepWaiting(message, at: place)
            return false
        }
        let caller: Caller?
        switch try proof(of: call, method) {
        case .nobody: caller = nil
        case .caller(let known): caller = known
        case .notYet where !mayWait:
            guard method == .watch else { throw CallFailure(.invalidAuthToken) }
            caller = nil
        case .notYet:
            waiting.removeAll { !$0.call.isOpen }
            guard waiting.count < AuthLimits.waitingMessagesMax else {
                throw CallFailure(.tooManyRequests)
            }
            waiting.append(WaitingMessages(call: call, method: method, messages: [message]))
            try whenLinearizable(call) { () throws(CallFailure) in try self.resume(call) }
            return false
        }
        if rule.place == .onArrival { try check(method, caller) }
        return true
    }

    // A watch with a bad token is refused in its own way, and the stream goes on (W20).
    private func proof(
        of call: any ServiceCall, _ method: Method
    ) throws(CallFailure) -> LoopAuth.Proof {
        do throws(CallFailure) {
            return try auth.proof(call.credentials)
        } catch {
            guard method == .watch else { throw error }
            return .nobody
        }
    }

    private func keepWaiting(_ message: [UInt8], at place: Int) throws(CallFailure) {
        guard waiting[place].messages.count < AuthLimits.waitingMessagesMax else {
            throw CallFailure(.tooManyRequests)
        }
        waiting[place].messages.append(message)
    }

    /// Dispatches what waited for a token: by now it is known, or it is none.
    private func resume(_ call: any ServiceCall) throws(CallFailure) {
        guard let place = waiting.firstIndex(where: { $0.call === call }) else { return }
        let found = waiting.remove(at: place)
        for message in found.messages where call.isOpen {
            try dispatch(call, found.method, message, mayWait: false)
            if !call.isOpen { call.held = nil }
        }
    }

    /// Forgets the waiting messages of a call that is gone.
    func forgetWaiting(_ call: any ServiceCall) {
        waiting.removeAll { $0.call === call }
    }

    /// Refuses whoever does not have what a method needs, as far as that does not depend on the request.
    func check(_ method: Method, _ caller: Caller?) throws(CallFailure) {
        do throws(EtcdError) {
            try auth.state.check(method.access.need, caller)
        } catch {
            throw CallFailure(error)
        }
    }

    /// On whose authority a call asks the leader for something.
    func authority(of call: any ServiceCall) throws(CallFailure) -> Authority {
        guard try auth.isEnabled(), let caller = try auth.caller(call.credentials) else {
            return .nobody
        }
        return .user(caller)
    }

    /// The user who makes a call, as the audit log tells it; nil where there is none, or no good token.
    func userName(of call: any ServiceCall) -> String? {
        do throws(CallFailure) {
            guard try auth.isEnabled(), let caller = try auth.caller(call.credentials) else {
                return nil
            }
            return String(decoding: caller.name, as: UTF8.self)
        } catch {
            // The call gets that error itself.
            return nil
        }
    }

    /// Refuses a read of keys that the caller may not see, on the state that it reads.
    func authorize(
        _ call: any ServiceCall, reading view: StoreView,
        _ check: (KeyAccess) throws(EtcdError) -> Void
    ) throws(CallFailure) {
        guard try auth.isEnabled(reading: view) else { return }
        try authorizeKeys(call, check)
    }

    /// Refuses a read of keys that the caller may not see, by what is published now.
    func authorize(
        _ call: any ServiceCall, _ check: (KeyAccess) throws(EtcdError) -> Void
    ) throws(CallFailure) {
        guard try auth.isEnabled() else { return }
        try authorizeKeys(call, check)
    }

    private func authorizeKeys(
        _ call: any ServiceCall, _ check: (KeyAccess) throws(EtcdError) -> Void
    ) throws(CallFailure) {
        let caller = try auth.caller(call.credentials)
        do throws(EtcdError) {
            try check(KeyAccess(try auth.state.checkUserOfNow(caller)))
        } catch {
            throw CallFailure(error)
        }
    }
}

extension AuthState {
    /// Refuses whoever does not have what a need asks for, as far as that does not depend on the request.
    func check(_ need: AccessNeed, _ caller: Caller?) throws(EtcdError) {
        switch need {
        case .nothing: return
        case .user, .alarm, .keys: _ = try checkUser(caller)
        case .root: try checkRoot(caller)
        // What is asked about decides (A9); that there is a caller does not depend on it.
        case .rootOrOwn: guard caller != nil else { throw .userNameEmpty }
        }
    }
}
