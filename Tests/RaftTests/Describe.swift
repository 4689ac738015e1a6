// Describe.swift: effects and messages as short lines for traces.
// Belongs here: wording, the same everywhere. Never here: commands (Trace.swift).
import Raft

/// Writes what a step asks for as one line.
enum Describe {
    static func effects(_ effects: Effects) -> String {
        var parts: [String] = []
        if let change = effects.leadership { parts.append(leadership(change)) }
        if let proposal = effects.proposal { parts.append(outcome(proposal)) }
        if effects.needsSave { parts.append(save(effects)) }
        if let committed = effects.committed {
            let last = committed.upperBound.previous.rawValue
            let first = committed.lowerBound.rawValue
            parts.append(first == last ? "commits \(last)" : "commits \(first)-\(last)")
        }
        for read in effects.readStates {
            parts.append("read \(read.context.rawValue) at \(read.index.rawValue)")
        }
        for context in effects.readsFailed { parts.append("read \(context.rawValue) failed") }
        for request in effects.needEntries {
            parts.append(
                "load for \(request.member.rawValue) \(request.from.rawValue)-"
                    + "\(request.through.rawValue)")
        }
        for member in effects.needSnapshot { parts.append("snapshot for \(member.rawValue)") }
        parts += changes(effects)
        for message in effects.sendNow { parts.append("now \(self.message(message))") }
        for message in effects.sendAfterSave {
            parts.append("after #\(effects.saveNumber.rawValue) \(self.message(message))")
        }
        return parts.joined(separator: "; ")
    }

    private static func changes(_ effects: Effects) -> [String] {
        var parts: [String] = []
        if let offer = effects.snapshotOffered {
            parts.append("offered a snapshot reaching \(offer.reaching.rawValue)")
        }
        if let membership = effects.membership {
            parts.append("now \(self.membership(membership))")
        }
        if effects.mayLeaveJoint { parts.append("may leave joint") }
        switch effects.transfer {
        case .refused(let reason): parts.append("no transfer, \(refusal(reason))")
        case .aborted(let target): parts.append("transfer to \(target.rawValue) aborted")
        case nil: break
        }
        return parts
    }

    private static func refusal(_ refusal: TransferRefusal) -> String {
        switch refusal {
        case .notLeader(let leader): name(leader)
        case .leadsAlready: "leads already"
        case .notVoter: "not a voter"
        case .notActive: "not active"
        case .transferUnderway(let target): "underway to \(target.rawValue)"
        }
    }

    static func membership(_ membership: Membership) -> String {
        func list(_ members: [MemberID]) -> String {
            members.map { String($0.rawValue) }.joined(separator: ",")
        }
        var text = "voters \(list(membership.voters))"
        if membership.isJoint { text += " and \(list(membership.outgoing))" }
        if !membership.learners.isEmpty { text += " learners \(list(membership.learners))" }
        if !membership.learnersNext.isEmpty { text += " next \(list(membership.learnersNext))" }
        return text
    }

    static func message(_ message: Message) -> String {
        "\(message.from.rawValue)>\(message.to.rawValue) t\(message.term.rawValue) "
            + body(message.body)
    }

    static func id(_ id: EntryID) -> String { "\(id.index.rawValue)@t\(id.term.rawValue)" }

    private static func entry(_ entry: Entry) -> String {
        switch entry.kind {
        case .noop: "\(id(entry.id)):noop"
        case .normal: "\(id(entry.id)):\(String(decoding: entry.payload, as: UTF8.self))"
        case .membership:
            "\(id(entry.id)):"
                + (Membership.split(entry.payload).map { "{\(membership($0.membership))}" } ?? "?")
        }
    }

    private static func entries(_ entries: [Entry]) -> String {
        "[" + entries.map(entry).joined(separator: " ") + "]"
    }

    private static func save(_ effects: Effects) -> String {
        var parts = ["save #\(effects.saveNumber.rawValue)"]
        if let hard = effects.save {
            let vote = hard.vote.map { "\($0.rawValue)" } ?? "none"
            parts.append("t\(hard.term.rawValue) vote=\(vote) commit=\(hard.commit.rawValue)")
        }
        if let index = effects.truncateAfter { parts.append("cut after \(index.rawValue)") }
        if !effects.append.isEmpty { parts.append(entries(effects.append)) }
        return parts.joined(separator: " ")
    }

    private static func leadership(_ change: LeadershipChange) -> String {
        switch change {
        case .becameLeader(let term): "leads t\(term.rawValue)"
        case .steppedDown(let term, let leader): "steps down t\(term.rawValue) \(name(leader))"
        case .leaderKnown(let term, let leader): "follows t\(term.rawValue) \(name(leader))"
        }
    }

    private static func name(_ member: MemberID?) -> String {
        member.map { "leader=\($0.rawValue)" } ?? "leader=none"
    }

    private static func outcome(_ outcome: ProposalOutcome) -> String {
        switch outcome {
        case .accepted(let first): "accepts from \(id(first))"
        case .rejected(.notLeader(let leader)): "rejects, \(name(leader))"
        case .rejected(.tooMuchUncommitted): "rejects, too much uncommitted"
        case .rejected(.tooMuchUnapplied): "rejects, too much unapplied"
        case .rejected(.transferUnderway(let target)):
            "rejects, transfer to \(target.rawValue) underway"
        case .rejected(.membershipChangeUnderway): "rejects, membership change underway"
        case .rejected(.invalidMembership(let problem)): "rejects, \(problem)"
        case .rejected(.leaderHasNotCommitted): "rejects, nothing of its term committed"
        }
    }

    private static func body(_ body: Message.Body) -> String {
        switch body {
        case .preVoteRequest(let last): "pre-vote? last=\(id(last))"
        case .preVoteAnswer(let granted): "pre-vote \(granted ? "yes" : "no")"
        case .voteRequest(let last, let isTransfer):
            "vote? last=\(id(last))\(isTransfer ? " transfer" : "")"
        case .voteAnswer(let granted): "vote \(granted ? "yes" : "no")"
        case .append(let previous, let entries, let commit):
            "append after \(id(previous)) \(self.entries(entries)) commit=\(commit.rawValue)"
        case .appendAccepted(let match): "accepted through \(match.rawValue)"
        case .appendRejected(let previous, let hint):
            "rejected after \(previous.rawValue) hint=\(id(hint))"
        case .heartbeat(let commit, let round):
            "heartbeat commit=\(commit.rawValue) round=\(round.rawValue)"
        case .heartbeatAnswer(let round): "alive round=\(round.rawValue)"
        case .readIndexRequest(let context, _): "read? \(context.rawValue)"
        case .readIndexAnswer(let context, let index, _):
            "read \(context.rawValue) \(index.map { "at \($0.rawValue)" } ?? "refused")"
        case .timeoutNow: "stand now"
        case .snapshotOffer(let last): "fetch a snapshot reaching \(id(last))"
        }
    }
}
