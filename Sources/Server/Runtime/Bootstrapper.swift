// Bootstrapper.swift: whose an empty data directory becomes, after asking the members that run.
// Belongs here: asking, and writing the answer down. Never here: the decision (Cluster/BootstrapPlan.swift).
// Source: etcd semantics K9, K10; design section 6: an id whose data was lost must not be used again.

internal import Glibc
internal import Logging
internal import Storage
internal import Transport

/// Finds out how this member begins.
struct Bootstrapper {
    let configuration: Configuration
    let directory: DataDirectory
    let client: BootstrapClient
    let logger: Logger

    /// How often all members are asked who they are before a start is given up.
    private static let roundsMax = 10
    /// How often they are asked for a fresh identity: for some seconds after their own start, and while the
    /// old one is still connected, they refuse.
    private static let replacementRoundsMax = 100
    /// The pause between two rounds.
    private static let pauseMilliseconds: UInt64 = 500

    /// Whose the directory is; an empty one becomes this member's.
    func claim() throws(NodeError) -> StoredIdentity {
        let path = directory.path
        do throws(StorageError) {
            if let stored = try directory.identity() { return stored }
        } catch {
            throw .storage(error, directory: path)
        }
        let made: StoredIdentity
        do throws(BootstrapError) {
            made = try begin()
        } catch {
            throw .bootstrap(error)
        }
        do throws(StorageError) {
            try directory.found(made)
        } catch {
            throw .storage(error, directory: path)
        }
        return made
    }

    private func begin() throws(BootstrapError) -> StoredIdentity {
        let running = try askMembers()
        let plan = try BootstrapPlan.decide(configuration, stored: nil, running: running)
        logger.info("\(plan)")
        switch plan {
        case .restart(let identity): return StoredIdentity(identity)
        case .found(let identity, let members):
            return StoredIdentity(identity, founders: members)
        case .join(let identity, let members): return StoredIdentity(identity, peers: members)
        case .rejoin(let old, let clusterID, let members):
            let (id, rows) = try replace(old)
            return StoredIdentity(
                Identity(clusterID: clusterID, memberID: id), peers: rows.isEmpty ? members : rows)
        }
    }

    /// What a running member says of the cluster; nil if none answers.
    ///
    /// Founders start at about the same time, so a founder asks each other member once; whoever joins
    /// cannot begin without an answer.
    private func askMembers() throws(BootstrapError) -> BootstrapResponse? {
        let (urls, request) = BootstrapPlan.peersToAsk(configuration)
        let isJoining = configuration.initialClusterState == .existing
        for round in 0..<(isJoining ? Self.roundsMax : 1) {
            if round > 0 { try pause() }
            for url in urls {
                guard let bytes = client.ask(url, .bootstrapQuestion, request.encoded()),
                    let response = BootstrapResponse(valid: bytes), !response.isFounding
                else { continue }
                return response
            }
        }
        return nil
    }

    /// Asks the cluster for a new identity in place of one whose data is gone.
    private func replace(_ old: MemberRow) throws(BootstrapError) -> (UInt64, [MemberRow]) {
        let request = BootstrapPlan.replacement(of: old, configuration).encoded()
        let (urls, _) = BootstrapPlan.peersToAsk(configuration)
        var refusal = EtcdError.timeout
        for round in 0..<Self.replacementRoundsMax {
            if round > 0 { try pause() }
            for url in urls {
                guard let bytes = client.ask(url, .replaceQuestion, request),
                    let answer = ForwardedAnswerFields(valid: bytes)?.answer
                else { continue }
                switch answer.content {
                case .notTaken: continue
                case .failure(let status):
                    refusal = EtcdError(rawValue: status.message) ?? .timeout
                case .message(let message):
                    guard let response = MemberAddResponse(valid: message) else { continue }
                    return (response.added.id, response.members.map(MemberRow.init))
                }
            }
        }
        throw .notReplaced(old.id, refusal)
    }

    /// Waits a moment; signals are not taken yet, so they are looked for.
    private func pause() throws(BootstrapError) {
        var time = timespec(tv_sec: 0, tv_nsec: Int(Self.pauseMilliseconds) * 1_000_000)
        nanosleep(&time, nil)
        var pending = sigset_t()
        sigpending(&pending)
        guard sigismember(&pending, SIGTERM) == 0, sigismember(&pending, SIGINT) == 0 else {
            throw .interrupted
        }
    }
}
