// History.swift: all that the clients of one run did and saw.
// Belongs here: the whole record that checkers read. Never here: faults and membership (the world).

/// The record of a run.
///
/// The order of the arrays is free: checkers go by the times and numbers inside.
package struct History: Hashable, Sendable {
    package var operations: [Operation]
    package var watches: [Watch]

    package init(operations: [Operation] = [], watches: [Watch] = []) {
        self.operations = operations
        self.watches = watches
    }
}

/// The content of the store at the end of a run, as one member shows it.
package struct FinalContent: Hashable, Sendable {
    package var member: UInt64
    /// The member's store revision.
    package var revision: Int64
    /// Every live key, in key order.
    package var keyValues: [KeyValue]

    package init(member: UInt64, revision: Int64, keyValues: [KeyValue]) {
        self.member = member
        self.revision = revision
        self.keyValues = keyValues
    }
}
