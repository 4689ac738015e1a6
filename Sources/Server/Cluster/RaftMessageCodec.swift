// RaftMessageCodec.swift: messages of the consensus core as bytes, and back.
// Belongs here: fields and their numbers. Never here: connections (Transport), what a message means (Raft).
// Protobuf's format, with numbers of our own: fields that a newer version adds are passed over. An entry's
// index is not sent: entries follow `previous` without a gap.
//
//   1 kind  2 from  3 to  4 term  5 index  6 index's term  7 commit  8 entries  9 flag  10 number  11 round
//   entry: 1 term  2 kind  3 payload

internal import Raft

/// The flat form of a message: which fields count is a matter of its kind.
struct RaftMessageFields: WireMessage, Hashable {
    /// The kinds of messages; numbers are never used again for another.
    enum Kind: UInt64 {
        case preVoteRequest = 1
        case preVoteAnswer
        case voteRequest
        case voteAnswer
        case append
        case appendAccepted
        case appendRejected
        case heartbeat
        case heartbeatAnswer
        case readIndexRequest
        case readIndexAnswer
        case timeoutNow
        case snapshotOffer
    }

    struct EntryFields: WireMessage, Hashable {
        var term: UInt64 = 0
        var kind: UInt64 = 0
        var payload = Bytes()

        mutating func merge(from reader: inout ProtoReader) throws(WireError) {
            while let field = try reader.nextField() {
                switch field.number {
                case 1: term = try reader.uint64(field)
                case 2: kind = try reader.uint64(field)
                case 3: payload = try reader.bytes(field)
                default: try reader.skip(field)
                }
            }
        }

        func encode(into writer: inout ProtoWriter) {
            writer.uint64(1, term)
            writer.uint64(2, kind)
            writer.bytes(3, payload)
        }
    }

    var kind: UInt64 = 0
    var from: UInt64 = 0
    var to: UInt64 = 0
    var term: UInt64 = 0
    var index: UInt64 = 0
    var indexTerm: UInt64 = 0
    var commit: UInt64 = 0
    var entries: [EntryFields] = []
    var flag = false
    var number: UInt64 = 0
    /// Of a question for a read index, and of its answer; other members' versions may not send it.
    var round: UInt64 = 0

    mutating func merge(from reader: inout ProtoReader) throws(WireError) {
        while let field = try reader.nextField() {
            switch field.number {
            case 1: kind = try reader.uint64(field)
            case 2: from = try reader.uint64(field)
            case 3: to = try reader.uint64(field)
            case 4: term = try reader.uint64(field)
            case 5: index = try reader.uint64(field)
            case 6: indexTerm = try reader.uint64(field)
            case 7: commit = try reader.uint64(field)
            case 8: try reader.messages(field, into: &entries)
            case 9: flag = try reader.bool(field)
            case 10: number = try reader.uint64(field)
            case 11: round = try reader.uint64(field)
            default: try reader.skip(field)
            }
        }
    }

    func encode(into writer: inout ProtoWriter) {
        writer.uint64(1, kind)
        writer.uint64(2, from)
        writer.uint64(3, to)
        writer.uint64(4, term)
        writer.uint64(5, index)
        writer.uint64(6, indexTerm)
        writer.uint64(7, commit)
        for entry in entries { writer.message(8, entry) }
        writer.bool(9, flag)
        writer.uint64(10, number)
        writer.uint64(11, round)
    }
}

// MARK: to bytes

extension RaftMessageFields {
    /// The fields of a message.
    init(_ message: Message) {
        from = message.from.rawValue
        to = message.to.rawValue
        term = message.term.rawValue
        switch message.body {
        case .preVoteRequest(let last): set(.preVoteRequest, last)
        case .preVoteAnswer(let granted): set(.preVoteAnswer, flag: granted)
        case .voteRequest(let last, let isTransfer): set(.voteRequest, last, flag: isTransfer)
        case .voteAnswer(let granted): set(.voteAnswer, flag: granted)
        case .append(let previous, let entries, let commit):
            set(.append, previous, commit: commit)
            self.entries = entries.map {
                EntryFields(
                    term: $0.id.term.rawValue, kind: UInt64($0.kind.rawValue),
                    payload: Bytes($0.payload))
            }
        case .appendAccepted(let match):
            set(.appendAccepted, EntryID(term: .zero, index: match))
        case .appendRejected(let previous, let hint):
            set(.appendRejected, hint, number: previous.rawValue)
        case .heartbeat(let commit, let round):
            set(.heartbeat, commit: commit, number: round.rawValue)
        case .heartbeatAnswer(let round): set(.heartbeatAnswer, number: round.rawValue)
        case .readIndexRequest(let context, let heard):
            set(.readIndexRequest, round: heard, number: context.rawValue)
        case .readIndexAnswer(let context, let index, let round):
            set(
                .readIndexAnswer, EntryID(term: .zero, index: index ?? .zero), flag: index != nil,
                round: round, number: context.rawValue)
        case .timeoutNow: set(.timeoutNow)
        case .snapshotOffer(let last): set(.snapshotOffer, last)
        }
    }

    private mutating func set(
        _ kind: Kind, _ place: EntryID = .zero, commit: LogIndex = .zero, flag: Bool = false,
        round: ReadRound = .zero, number: UInt64 = 0
    ) {
        self.kind = kind.rawValue
        index = place.index.rawValue
        indexTerm = place.term.rawValue
        self.commit = commit.rawValue
        self.flag = flag
        self.round = round.rawValue
        self.number = number
    }
}

// MARK: from bytes

extension RaftMessageFields {
    /// The message; nil if it is of a kind this version does not know, or can't be an honest member's.
    var message: Message? {
        guard let kind = Kind(rawValue: kind), isCountable(kind), let body = body(kind) else {
            return nil
        }
        return Message(from: MemberID(from), to: MemberID(to), term: Term(term), body: body)
    }

    /// Terms, places and rounds beyond this come from nobody honest; counting on from them would trap.
    static let countMax = UInt64.max >> 1

    private func isCountable(_ kind: Kind) -> Bool {
        let isNumberCounted: Bool =
            switch kind {
            case .appendRejected, .heartbeat, .heartbeatAnswer: true
            case .preVoteRequest, .preVoteAnswer, .voteRequest, .voteAnswer, .append,
                .appendAccepted, .readIndexRequest, .readIndexAnswer, .timeoutNow, .snapshotOffer:
                false
            }
        // The bound is all bits but the highest: one of them is beyond it if all together are.
        let all = term | index | indexTerm | commit | round | (isNumberCounted ? number : 0)
        return all <= Self.countMax
    }

    private var place: EntryID { EntryID(term: Term(indexTerm), index: LogIndex(index)) }

    private func body(_ kind: Kind) -> Message.Body? {
        switch kind {
        case .preVoteRequest: .preVoteRequest(last: place)
        case .preVoteAnswer: .preVoteAnswer(granted: flag)
        case .voteRequest: .voteRequest(last: place, isTransfer: flag)
        case .voteAnswer: .voteAnswer(granted: flag)
        case .append:
            decodedEntries.map {
                .append(previous: place, entries: $0, commit: LogIndex(commit))
            }
        case .appendAccepted: .appendAccepted(match: LogIndex(index))
        case .appendRejected: .appendRejected(previous: LogIndex(number), hint: place)
        case .heartbeat: .heartbeat(commit: LogIndex(commit), round: ReadRound(number))
        case .heartbeatAnswer: .heartbeatAnswer(round: ReadRound(number))
        case .readIndexRequest:
            .readIndexRequest(context: ReadContext(number), heard: ReadRound(round))
        case .readIndexAnswer:
            .readIndexAnswer(
                context: ReadContext(number), index: flag ? LogIndex(index) : nil,
                round: ReadRound(round))
        case .timeoutNow: .timeoutNow
        case .snapshotOffer: .snapshotOffer(last: place)
        }
    }

    private var decodedEntries: [Entry]? {
        var result: [Entry] = []
        result.reserveCapacity(entries.count)
        for (offset, fields) in entries.enumerated() {
            guard fields.term <= Self.countMax, let number = UInt8(exactly: fields.kind),
                let kind = Entry.Kind(rawValue: number)
            else { return nil }
            result.append(
                Entry(
                    id: EntryID(
                        term: Term(fields.term), index: LogIndex(index + 1 + UInt64(offset))),
                    kind: kind, payload: fields.payload.array))
        }
        return result
    }
}
