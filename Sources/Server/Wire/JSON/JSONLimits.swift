// JSONLimits.swift: the bounds of reading and writing messages as JSON.
// Belongs here: numbers with their reason. Never here: the size of a body (Transport).

/// Bounds that keep a hostile body from costing more than a small multiple of its size.
enum JSONLimits {
    /// Objects and lists inside one another, also in what is passed over.
    ///
    /// The deepest request has an object and a list for each open message.
    static let depthMax = 2 * WireLimits.messageDepthMax + 8

    /// Digits and signs of one number: the longest that means a 64-bit integer is far shorter.
    static let numberBytesMax = 64
}
