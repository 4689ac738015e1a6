// TranscodeAny.swift: reads any bytes as any message in JSON and writes it again, for fuzzing.
// Belongs here: what must hold of every body. Never here: the reader and the writer.
// Invariant: whatever the bytes, it returns: no trap, no endless loop, no unbounded memory.

/// Reads `body` as the message that `selector` chooses, writes it as JSON and reads that.
///
/// The second reading must give the same bytes again; a difference traps, so a fuzzer sees it.
///
/// - Parameters:
///   - body: Anything.
///   - selector: Taken modulo the number of messages, so every value chooses one.
/// - Returns: Whether the body was a message of that kind.
@discardableResult
package func transcodeAny(_ body: [UInt8], selector: UInt8) -> Bool {
    let message = Int(selector) % DescriptorTable.etcd.messages.count
    let wire: [UInt8]
    do throws(JSONError) {
        wire = try MessageFromJSON.single(body, message)
    } catch {
        return false
    }
    do {
        var text: [UInt8] = []
        try MessageToJSON.whole(wire, message, into: &text)
        let again = try MessageFromJSON.single(text, message)
        precondition(again == wire, "\(wire) came back as \(again)")
    } catch {
        preconditionFailure("a message that was read is not written: \(error)")
    }
    return true
}
