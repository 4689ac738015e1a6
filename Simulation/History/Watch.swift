// Watch.swift: a watch of one client with all it received, over every stream it was resumed on.
// Belongs here: the record. Never here: whether it is right (Checkers/WatchChecker.swift).
// Source: etcd rpc.proto, WatchCreateRequest and WatchResponse; semantics W1 to W21.

/// A client's wish to see the changes of a span, kept up over broken streams.
package struct Watch: Hashable, Sendable {
    package var client: Int
    /// The watch's number, by which violations name it; each is used once in a history.
    package var number: Int
    package var span: KeySpan
    /// No puts are wanted (W9).
    package var noPut: Bool
    /// No deletes are wanted (W9).
    package var noDelete: Bool
    /// Events show what was there before (W8).
    package var previous: Bool
    /// One for each stream on which it was created, in order of time.
    package var attempts: [WatchAttempt]
    /// At the end of the run, with the cluster healed and quiet, everything up to here must have
    /// arrived on the last attempt; nil where nothing is promised.
    package var mustReach: Int64?

    package init(
        client: Int, number: Int, span: KeySpan, noPut: Bool = false, noDelete: Bool = false,
        previous: Bool = false, attempts: [WatchAttempt] = [], mustReach: Int64? = nil
    ) {
        self.client = client
        self.number = number
        self.span = span
        self.noPut = noPut
        self.noDelete = noDelete
        self.previous = previous
        self.attempts = attempts
        self.mustReach = mustReach
    }
}

/// A watch on one stream.
package struct WatchAttempt: Hashable, Sendable {
    /// The member that serves it.
    package var member: UInt64
    /// When the create request left the client, in microseconds.
    package var started: UInt64
    /// The first revision that is wanted; 0 for "from now" (W4).
    package var startRevision: Int64
    /// What came, in the order it came; a broken stream just ends.
    package var receipts: [WatchReceipt]

    package init(
        member: UInt64, started: UInt64, startRevision: Int64, receipts: [WatchReceipt] = []
    ) {
        self.member = member
        self.started = started
        self.startRevision = startRevision
        self.receipts = receipts
    }
}

/// One WatchResponse.
package struct WatchReceipt: Hashable, Sendable {
    /// What a response is about.
    package enum Content: Hashable, Sendable {
        /// The watch exists.
        case created
        /// `fragment` is true where more of the same response follows (W12).
        case events([WatchEvent], fragment: Bool)
        /// All events up to the header's revision have been sent, for this watch or, asked for by
        /// hand, for each watch of the stream (W14 to W16).
        case progress
        /// The end; `compactRevision` is 0 unless compaction overtook the watch (W6).
        case canceled(compactRevision: Int64)
    }

    /// When it arrived, in microseconds.
    package var at: UInt64
    /// The header's revision; 0 in a cancel for compaction.
    package var revision: Int64
    package var content: Content

    package init(at: UInt64, revision: Int64, _ content: Content) {
        self.at = at
        self.revision = revision
        self.content = content
    }
}

/// A change that a watch reported.
package struct WatchEvent: Hashable, Sendable {
    /// What became of the key.
    package enum Change: Hashable, Sendable {
        case put(KeyValue)
        /// A delete says only which key, and when (W8).
        case delete(key: [UInt8], modRevision: Int64)
    }

    package var change: Change
    /// What was there before, where it was asked for and is still known.
    package var previous: KeyValue?

    package init(_ change: Change, previous: KeyValue? = nil) {
        self.change = change
        self.previous = previous
    }

    package var key: [UInt8] {
        switch change {
        case .put(let keyValue): keyValue.key
        case .delete(let key, _): key
        }
    }

    package var revision: Int64 {
        switch change {
        case .put(let keyValue): keyValue.modRevision
        case .delete(_, let revision): revision
        }
    }
}
