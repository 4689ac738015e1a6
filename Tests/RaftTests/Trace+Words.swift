// Trace+Words.swift: what the words of a trace's commands mean.
// Belongs here: reading. Never here: running (Trace.swift).
import Raft

extension Trace {
    static func entryID(_ text: Substring) -> EntryID {
        let parts = text.split(separator: "@")
        guard parts.count == 2, let index = UInt64(parts[0]),
            let term = UInt64(parts[1].dropFirst())
        else { preconditionFailure("\(text) is not like 1@t1") }
        return EntryID(term: Term(term), index: LogIndex(index))
    }

    static func entries(_ text: Substring) -> [Entry] {
        text.split(separator: ",").map { part in
            Entry(id: entryID(part), kind: .normal, payload: Array("old".utf8))
        }
    }

    /// The numbers of an option such as `learners=4,5`.
    static func numbers(of option: String, in words: [String]) -> [UInt64] {
        words.flatMap { word -> [UInt64] in
            let parts = word.split(separator: "=")
            guard parts.count == 2, parts[0] == option else { return [] }
            return parts[1].split(separator: ",").compactMap { UInt64($0) }
        }
    }

    static func membership(_ words: [String]) -> Membership {
        Membership(
            voters: numbers(of: "voters", in: words).map { MemberID($0) },
            learners: numbers(of: "learners", in: words).map { MemberID($0) })
    }

    static func pair(_ words: [String]) -> (from: MemberID, to: MemberID) {
        let numbers = words.compactMap { UInt64($0) }
        precondition(numbers.count == 2, "a cut is from one member to another")
        return (MemberID(numbers[0]), MemberID(numbers[1]))
    }
}
