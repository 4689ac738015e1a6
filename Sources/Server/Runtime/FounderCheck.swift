// FounderCheck.swift: a founder without data makes sure that the others are founding too.
// Belongs here: asking until a quorum is known. Never here: what is held back meanwhile (Replica).
// Why: a member whose disk was lost, started by its old command while the others are down, would vote as if
// it had never acknowledged anything, and what was agreed could be lost.

internal import Glibc
internal import Logging
internal import Storage
internal import Transport

/// Asks the other founders; the thread ends when a quorum is known, or the node stops.
final class FounderCheck: @unchecked Sendable {
    // @unchecked Sendable: `thread` belongs to the owner; `client` is set once.
    private let stored: StoredIdentity
    private var client: BootstrapClient
    private let directory: DataDirectory
    private let logger: Logger
    private let stopping = StopSignal()
    /// The fault that was told last; belongs to the thread.
    private var noted: BootstrapError?
    private var thread: SystemThread?

    private static let pauseNanoseconds: UInt64 = 50_000_000
    /// Rounds between two lines that tell whom this member waits for.
    private static let roundsPerReport = 100

    private enum Answer {
        case none
        /// It founds the cluster too, or runs it and has never seen this member.
        case agrees
        case refuses(BootstrapError)
    }

    init(
        _ stored: StoredIdentity, client: BootstrapClient, directory: DataDirectory,
        logger: Logger
    ) {
        self.stored = stored
        self.client = client
        // It asks all the time: what it waits for is told now and then.
        self.client.failureLevel = .debug
        self.directory = directory
        self.logger = logger
    }

    func start(confirmed: @escaping @Sendable () -> Void, failed: @escaping @Sendable () -> Void) {
        thread = SystemThread { [self] in
            do throws(BootstrapError) {
                if try run() { confirmed() }
            } catch {
                logger.critical("\(error)")
                disown()
                failed()
            }
        }
    }

    func stop() {
        stopping.give()
        thread?.join()
    }

    /// True once a quorum is known; false when the node stops before.
    private func run() throws(BootstrapError) -> Bool {
        let others = stored.founders.filter { $0.id != stored.identity.memberID }
        let needed = stored.founders.count / 2
        for round in 1... {
            var agreeing = 0
            for other in others {
                switch ask(other) {
                case .none: break
                case .agrees: agreeing += 1
                case .refuses(let error): throw error
                }
            }
            if agreeing >= needed { return true }
            if round % Self.roundsPerReport == 0 {
                logger.warning(
                    "waiting for the other founders: a quorum of them must run without data too",
                    metadata: ["found": "\(agreeing)", "needed": "\(needed)"])
            }
            let next = MonotonicClock.nanoseconds + Self.pauseNanoseconds
            guard stopping.pause(until: next) else { return false }
        }
        return false
    }

    private func ask(_ other: MemberRow) -> Answer {
        let own = stored.identity
        for text in other.peerURLs {
            guard let url = EndpointURL(valid: text),
                let bytes = client.ask(
                    url, .bootstrapQuestion, BootstrapRequest(memberID: own.memberID).encoded()),
                let response = BootstrapResponse(valid: bytes)
            else { continue }
            guard !response.isRemoved else { return .refuses(.removed(own.memberID)) }
            guard response.clusterID == own.clusterID else {
                // Somebody else's member at that place: it says nothing of this cluster.
                note(.otherCluster(running: response.clusterID, own: own.clusterID))
                return .none
            }
            let known = response.members.first { $0.id == own.memberID }
            guard known?.clientURLs.isEmpty ?? true else {
                return .refuses(.alreadyBootstrapped(own.memberID))
            }
            return .agrees
        }
        return .none
    }

    /// Tells of a fault once for as long as it stays the same.
    private func note(_ error: BootstrapError) {
        guard error != noted else { return }
        noted = error
        logger.warning("\(error)")
    }

    /// Gives the directory back: it holds nothing, and the next start may rejoin with it.
    private func disown() {
        do throws(StorageError) {
            try directory.disown()
        } catch {
            logger.error("the directory keeps its identity", metadata: ["error": "\(error)"])
        }
    }
}

extension EndpointURL {
    /// A URL that another member's list has; nil if it is none.
    init?(valid text: String) {
        do throws(ValueProblem) {
            try self.init(text)
        } catch {
            return nil
        }
    }
}

extension WireDecodable {
    /// The message; nil if the bytes are not one.
    init?(valid bytes: [UInt8]) {
        do throws(WireError) {
            try self.init(decoding: bytes)
        } catch {
            return nil
        }
    }
}
