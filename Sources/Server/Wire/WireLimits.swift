// WireLimits.swift: the bounds of the codec, each with the sum that justifies it.
// Belongs here: limits of the encoding. Never here: limits of requests, such as max-txn-ops.
// Source: semantics.md T6, G12.

/// Bounds that keep hostile messages from costing more than a small multiple of their own size.
enum WireLimits {
    /// How many transactions may be nested in one another.
    ///
    /// By rule T6 each level uses up at least one of max-txn-ops, 128 by default, so a deeper
    /// request is refused anyway.
    static let nestedTxnsMax = 128

    /// How many messages may be open at once: a nested transaction is two, itself and the
    /// operation around it, and its innermost operation holds one request more.
    static let messageDepthMax = 2 * nestedTxnsMax + 2

    /// How many compares and operations one message may hold in total.
    ///
    /// An empty operation is 2 bytes on the wire and about 100 decoded: without a bound a message
    /// of 2 MiB would decode to 100 MiB. At this bound the lists stay below 16 MiB. It is far above
    /// any useful max-txn-ops, so what it refuses would be "too many operations" anyway.
    static let repeatedMessagesMax = 65_536

    /// The greatest number of bytes of a varint.
    static let varintBytesMax = 10

    /// The greatest field number protobuf allows.
    static let fieldNumberMax: UInt64 = 536_870_911

    /// The greatest size of a message: offsets in it are kept in 32 bits.
    static let messageBytesMax = Int(Int32.max)

    /// Room for the fields that are put in front of a finished answer: a header with four
    /// varints of at most 11 bytes each, its prefix, and one number more.
    static let insertedBytesExpected = 64
}
