// PeerNetwork.swift: this member's connections to the others, and what comes in on them.
// Belongs here: one link per member and channel, frames to and from the replica's inbox. Never here:
// what a message means (Replica), bytes on wires (Transport/Peer).
// Source: design section 3 and 7: log traffic, forwarded requests and snapshots never delay each other.

internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Raft
internal import Storage
internal import Transport

/// The peer side of a running member.
final class PeerNetwork: @unchecked Sendable {
    // @unchecked Sendable: `monitor` guards `links`, `accepted`, `newcomers`, `newcomerCount`,
    // `isStopping` and `isRemoved`; `listeners` belongs to the owner; the rest never changes.
    let identity: PeerIdentity
    let group: MultiThreadedEventLoopGroup
    let tls: PeerTLS?
    let inbox: ReplicaInbox
    let directory: PeerDirectory
    let logger: Logger
    private let monitor = Monitor()
    private var links: [MemberLinks] = []
    /// The connections that members made to this one for log and requests.
    private var accepted: [PeerConnection] = []
    /// Members whose question waits for the log; closed ones go with the next question.
    private var newcomers: [(number: UInt64, connection: PeerConnection)] = []
    private var newcomerCount: UInt64 = 0
    private var isStopping = false
    private var isRemoved = false
    private var listeners: [PeerListener] = []
    private let snapshots: SnapshotExchange
    let metrics: PeerMetrics
    private var probing: RepeatedTask?
    private let removed: @Sendable () -> Void

    /// The connections to one member.
    private struct MemberLinks {
        let member: UInt64
        var urls: [String]
        let log: PeerLink
        let forward: PeerLink
        let counts: PeerCounts

        func stop() {
            log.stop()
            forward.stop()
        }
    }

    /// - Parameter removed: called when another member says that this one was removed.
    init(
        identity: PeerIdentity, group: MultiThreadedEventLoopGroup, tls: PeerTLS?,
        inbox: ReplicaInbox, directory: PeerDirectory, snapshots: SnapshotExchange,
        metrics: PeerMetrics,
        logger: Logger,
        removed: @escaping @Sendable () -> Void
    ) {
        self.identity = identity
        self.group = group
        self.tls = tls
        self.inbox = inbox
        self.directory = directory
        self.snapshots = snapshots
        self.metrics = metrics
        self.logger = logger
        self.removed = removed
    }

    // MARK: life

    /// What all connections have in common; they keep this object until they are closed.
    var settings: PeerSettings {
        PeerSettings(identity: identity, tls: tls, group: group, handler: self) {
            [weak self] event in self?.report(event)
        }
    }

    /// Opens the port for other members.
    func listen(on url: EndpointURL, reusesPort: Bool) throws(TransportError) {
        let listener = try PeerListener.bind(
            host: url.host, port: url.port, isTLS: url.scheme.isSecure, reusesPort: reusesPort,
            settings: settings)
        listeners.append(listener)
        logger.info("listening for peer traffic", metadata: ["url": "\(url)"])
    }

    /// Closes everything; nothing comes in any more.
    func stop() {
        monitor.lock()
        isStopping = true
        let ending = links
        links = []
        let probing = probing
        monitor.unlock()
        probing?.cancel()
        for link in ending { link.stop() }
        for listener in listeners { listener.close() }
        listeners = []
        snapshots.stop()
    }

    /// Connects to the members that there are now, and lets go of those that are gone.
    func update(_ rows: [MemberRow]) {
        monitor.lock()
        defer { monitor.unlock() }
        guard !isStopping else { return }
        metrics.update(rows.map(\.id).filter { $0 != identity.memberID })
        for row in rows where row.id != identity.memberID { connect(to: row) }
        if probing == nil, !links.isEmpty { probing = probe() }
        let gone = links.filter { link in !rows.contains { $0.id == link.member } }
        links.removeAll { link in !rows.contains { $0.id == link.member } }
        let unwanted = accepted.filter { open in !rows.contains { $0.id == open.member } }
        guard !gone.isEmpty || !unwanted.isEmpty else { return }
        // What tells a member of its removal may still be on its way.
        group.next().scheduleTask(in: .seconds(2)) {
            gone.forEach { $0.stop() }
            unwanted.forEach { $0.close() }
        }
    }

    /// `monitor` is held.
    private func connect(to row: MemberRow) {
        if let place = links.firstIndex(where: { $0.member == row.id }) {
            guard links[place].urls != row.peerURLs else { return }
            links[place].urls = row.peerURLs
            links[place].log.update(urls: addresses(row))
            links[place].forward.update(urls: addresses(row))
            return
        }
        let added = MemberLinks(
            member: row.id, urls: row.peerURLs, log: link(to: row, .log),
            forward: link(to: row, .forward), counts: metrics.counts(of: row.id))
        links.append(added)
        added.log.start()
        added.forward.start()
    }

    private func link(to row: MemberRow, _ channel: PeerChannel) -> PeerLink {
        PeerLink(
            to: row.id, urls: addresses(row), channel: channel,
            seed: identity.memberID ^ row.id &+ UInt64(channel.rawValue), settings: settings)
    }

    private func addresses(_ row: MemberRow) -> [PeerURL] {
        var found: [PeerURL] = []
        for text in row.peerURLs {
            do throws(ValueProblem) {
                found.append(PeerURL(try EndpointURL(text)))
            } catch {
                logger.warning(
                    "a member has a URL that can't be used",
                    metadata: ["member": "\(row.id.idText)", "url": "\(text)", "error": "\(error)"])
            }
        }
        return found
    }

    // MARK: out

    /// Sends what a turn of the replica has for a member; empties it.
    func send(_ traffic: inout PeerTraffic) {
        guard !traffic.isEmpty else { return }
        defer { traffic.removeAll() }
        monitor.lock()
        let found = links.first { $0.member == traffic.member }
        // The newest counts: the others are about to close.
        let back = accepted.last { $0.member == traffic.member && $0.channel == .forward }
        monitor.unlock()
        if !traffic.messages.isEmpty {
            let frames = traffic.messages.map {
                (kind: PeerFrame.raft.rawValue, payload: RaftMessageFields($0).encoded())
            }
            note(found?.log.send(frames) ?? false, frames, found?.counts)
        }
        if !traffic.requests.isEmpty {
            forward(traffic.requests, on: found?.forward, found?.counts)
        }
        if !traffic.answers.isEmpty, let back {
            // Lost if the connection is: then the asking member knows that it can't know.
            let frames = ForwardFrames.frames(of: traffic.answers)
            let isSent = back.send(frames)
            note(isSent, frames, found?.counts)
            if !isSent { back.close() }
        }
    }

    /// Counts what was sent, or could not be.
    private func note(
        _ isSent: Bool, _ frames: [(kind: UInt8, payload: [UInt8])], _ counts: PeerCounts?
    ) {
        guard let counts else { return }
        guard isSent else { return counts.sentFailures.increment(by: UInt64(frames.count)) }
        let bytes = frames.reduce(0) { $0 + $1.payload.count }
        counts.sentBytes.increment(by: UInt64(bytes))
    }

    private func forward(
        _ requests: [ForwardedRequest], on link: PeerLink?, _ counts: PeerCounts?
    ) {
        let fields = requests.compactMap(ForwardedRequestFields.init)
        let limit = ForwardFrames.requestBytesMax
        let (fitting, large) = (
            fields.filter { $0.message.count <= limit }, fields.filter { $0.message.count > limit }
        )
        var isSent = true
        for (frame, sequences) in ForwardFrames.frames(of: fitting) {
            // Behind one that is not sent nothing is: requests keep their order.
            isSent = isSent && link?.send([frame]) ?? false
            note(isSent, [frame], counts)
            if !isSent { inbox.add(.forwardRefused(sequences)) }
        }
        guard !large.isEmpty else { return }
        inbox.add(
            .answers(
                large.map {
                    ForwardedAnswer(
                        sequence: $0.sequence, index: 0,
                        content: .failure(EtcdError.requestTooLarge.status))
                }))
    }

    /// Begins to fetch a snapshot from a member; false if one is being fetched, or was tried a moment ago.
    ///
    /// - Parameter damage: what of the own database must not be relied on.
    @discardableResult
    func fetchSnapshot(from member: UInt64, damage: Damage?) -> Bool {
        // One that can't be reached counts as asked, so that it is another's turn.
        guard let row = directory.reachable.first(where: { $0.id == member }) else { return true }
        return snapshots.fetch(from: member, urls: addresses(row), damage: damage, over: self)
    }

    private func report(_ event: PeerEvent) {
        logger.log(level: event.level, "\(event)")
        if case .lost(let member, .log, _, _) = event {
            metrics.counts(of: member).disconnects.increment()
        }
        guard case .dialFailed(_, _, .refusedByPeer(_, .removedMember, _), _) = event else {
            return
        }
        monitor.lock()
        let isNews = !isRemoved
        isRemoved = true
        monitor.unlock()
        guard isNews else { return }
        logger.critical("this member was removed from the cluster: stopping")
        removed()
    }

    /// Asks each member from time to time how long the way to it is.
    ///
    /// `monitor` is held.
    private func probe() -> RepeatedTask {
        let interval = TimeAmount.milliseconds(PeerProbe.intervalMilliseconds)
        return group.next().scheduleRepeatedTask(
            initialDelay: .milliseconds(PeerProbe.intervalMilliseconds / 10), delay: interval
        ) { [weak self] _ in
            guard let self else { return }
            self.monitor.lock()
            let links = self.links
            self.monitor.unlock()
            for link in links {
                link.counts.isActive.set(link.log.isConnected ? 1 : 0)
                _ = link.log.send([(PeerFrame.echo.rawValue, PeerProbe.stamp)])
            }
        }
    }

    // MARK: members that are about to join

    /// Answers a question that needed the log.
    func answer(_ content: ForwardedAnswer.Content, toNewcomer number: UInt64) {
        monitor.lock()
        let place = newcomers.firstIndex { $0.number == number }
        let found = place.map { newcomers.remove(at: $0) }
        monitor.unlock()
        let fields = ForwardedAnswerFields(
            ForwardedAnswer(sequence: 0, index: 0, content: content))
        _ = found?.connection.send(
            kind: PeerFrame.bootstrapAnswer.rawValue, fields.encoded())
    }

    private func answerBootstrap(
        _ connection: PeerConnection, _ bytes: [UInt8]
    ) throws(WireError) {
        let request = try BootstrapRequest(decoding: bytes)
        let own = Identity(clusterID: identity.clusterID, memberID: identity.memberID)
        guard let response = directory.answer(to: request, by: own) else {
            return connection.close()
        }
        _ = connection.send(kind: PeerFrame.bootstrapAnswer.rawValue, response.encoded())
    }

    private func replace(_ connection: PeerConnection, _ bytes: [UInt8]) throws(WireError) {
        let request = try MemberReplaceRequest(decoding: bytes)
        monitor.lock()
        newcomers.removeAll { !$0.connection.isOpen }
        newcomerCount += 1
        let number = newcomerCount
        newcomers.append((number, connection))
        monitor.unlock()
        var question = [
            ReplicaRequest(
                origin: .newcomer(number),
                body: .memberReplace(request, nonce: UInt64.random(in: .min ... .max)),
                byteCount: bytes.count)
        ]
        inbox.add(&question)
        if !question.isEmpty {
            answer(.failure(EtcdError.tooManyRequests.status), toNewcomer: number)
        }
    }
}

extension PeerNetwork: PeerHandler {
    func peerAdmits(_ hello: PeerHello) -> PeerAdmission { directory.admits(hello) }

    func peerConnected(_ connection: PeerConnection) {
        switch connection.channel {
        case .forward where connection.isDialed: inbox.add(.forwardReady)
        case .log, .forward:
            guard !connection.isDialed else { return }
            monitor.lock()
            accepted.append(connection)
            monitor.unlock()
            // Its messages want answers, which go on a connection of our own.
            if directory.isStranger(connection.member) { update(directory.reachable) }
        case .snapshot, .bootstrap: break
        }
    }

    func peerClosed(_ connection: PeerConnection) {
        if !connection.isDialed {
            monitor.lock()
            accepted.removeAll { $0 === connection }
            monitor.unlock()
        }
        switch connection.channel {
        case .log: inbox.add(.disconnected(connection.member))
        case .forward: if connection.isDialed { inbox.add(.forwardLost(connection.member)) }
        case .snapshot: snapshots.closed(connection)
        case .bootstrap: break
        }
    }

    func peerDrained(_ connection: PeerConnection) {
        if connection.channel == .snapshot { snapshots.drained(connection) }
    }

    func peerReceived(_ connection: PeerConnection, kind: UInt8, payload: ByteBuffer) {
        do throws(WireError) {
            try take(connection, PeerFrame(rawValue: kind), payload)
        } catch {
            metrics.counts(of: connection.member).receivedFailures.increment()
            logger.warning(
                "a member sent what can't be read: the connection is closed",
                metadata: ["member": "\(connection.member.idText)", "error": "\(error)"])
            connection.close()
        }
    }

    private func take(
        _ connection: PeerConnection, _ kind: PeerFrame?, _ payload: ByteBuffer
    ) throws(WireError) {
        let bytes = Array(payload.readableBytesView)
        if connection.member != 0 {
            metrics.counts(of: connection.member).receivedBytes.increment(by: UInt64(bytes.count))
        }
        switch (connection.channel, kind) {
        case (.log, .echo): _ = connection.send(kind: PeerFrame.echoAnswer.rawValue, bytes)
        case (.log, .echoAnswer): PeerProbe.note(bytes, metrics.counts(of: connection.member))
        case (.log, .raft):
            guard let message = try RaftMessageFields(decoding: bytes).message,
                message.from.rawValue == connection.member,
                message.to.rawValue == identity.memberID
            else { throw .unknownKind(UInt64(PeerFrame.raft.rawValue)) }
            inbox.add(message, byteCount: bytes.count)
        case (.forward, .requests): try takeRequests(bytes, connection)
        case (.forward, .answers):
            let parts = parts(on: connection)
            let list = try WireList<ForwardedAnswerFields>(decoding: parts.join(bytes))
            inbox.add(.answers(list.elements.compactMap(\.answer)))
        case (.forward, .answersPart): try parts(on: connection).add(bytes)
        case (.snapshot, _): snapshots.received(connection, kind, bytes)
        case (.bootstrap, .bootstrapQuestion): try answerBootstrap(connection, bytes)
        case (.bootstrap, .replaceQuestion): try replace(connection, bytes)
        default: throw .unknownKind(UInt64(kind?.rawValue ?? 0))
        }
    }

    private func parts(on connection: PeerConnection) -> AnswerParts {
        if let found = connection.state as? AnswerParts { return found }
        let made = AnswerParts()
        connection.state = made
        return made
    }

    private func takeRequests(
        _ bytes: [UInt8], _ connection: PeerConnection
    ) throws(WireError) {
        let list = try WireList<ForwardedRequestFields>(decoding: bytes)
        var requests: [ReplicaRequest] = []
        requests.reserveCapacity(list.elements.count)
        for fields in list.elements {
            requests.append(try fields.request(from: connection.member))
        }
        inbox.add(&requests)
        guard !requests.isEmpty else { return }
        let refusals = requests.compactMap { request -> ForwardedAnswerFields? in
            guard case .member(_, let sequence) = request.origin else { return nil }
            return ForwardedAnswerFields(
                ForwardedAnswer(
                    sequence: sequence, index: 0,
                    content: .failure(EtcdError.tooManyRequests.status)))
        }
        _ = connection.send(
            kind: PeerFrame.answers.rawValue, WireList(elements: refusals).encoded())
    }
}

extension PeerURL {
    /// Where a member's URL points.
    init(_ url: EndpointURL) {
        self.init(isTLS: url.scheme.isSecure, host: url.host, port: url.port)
    }
}

extension PeerEvent {
    // Connections come and go as members start and stop; what an operator must act on is a warning.
    fileprivate var level: Logger.Level {
        switch self {
        case .connected: .debug
        case .lost: .info
        case .refused, .handshakeFailed, .dialFailed, .certificateReloadFailed, .certificates:
            .warning
        }
    }
}
