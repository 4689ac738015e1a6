// ForwardFrames.swift: what a turn forwards and answers, cut into frames that the channel takes.
// Belongs here: cutting, and joining again. Never here: the fields (ForwardCodec.swift), sending (PeerNetwork).
// Source: etcd semantics G12: answers are not limited, so one may be larger than any frame.
//
//   answers:  answersPart* answers     the parts and the last frame's bytes together are one list

internal import Transport

/// Cuts lists of requests and answers into frames.
enum ForwardFrames {
    typealias Frame = (kind: UInt8, payload: [UInt8])

    /// Bytes above which a frame takes no further request or answer: a fifth of what the channel allows.
    static let frameBytesMax = 4 << 20
    /// Bytes of the largest request that is passed on: no larger one fits into the log either.
    static let requestBytesMax = 16 << 20
    /// Bytes of the largest answer that is passed on: what the asking member holds until all of it came.
    static let answerBytesMax = 256 << 20

    /// The frames for requests, each with the sequences that it carries.
    static func frames(
        of requests: [ForwardedRequestFields]
    ) -> [(frame: Frame, sequences: [UInt64])] {
        split(requests) { $0.message.count }.map { group in
            let list = WireList(elements: Array(group))
            return ((PeerFrame.requests.rawValue, list.encoded()), group.map(\.sequence))
        }
    }

    /// The frames for answers; they belong together.
    static func frames(of answers: [ForwardedAnswer]) -> [Frame] {
        let fields = answers.map { answer in
            ForwardedAnswerFields(isTooLarge(answer) ? tooLarge(answer) : answer)
        }
        return split(fields) { $0.message.count + $0.text.utf8.count }.flatMap { group in
            cut(WireList(elements: Array(group)).encoded())
        }
    }

    private static func cut(_ bytes: [UInt8]) -> [Frame] {
        var frames: [Frame] = []
        var start = 0
        while bytes.count - start > 2 * frameBytesMax {
            let end = start + frameBytesMax
            frames.append((PeerFrame.answersPart.rawValue, Array(bytes[start..<end])))
            start = end
        }
        frames.append((PeerFrame.answers.rawValue, start == 0 ? bytes : Array(bytes[start...])))
        return frames
    }

    private static func isTooLarge(_ answer: ForwardedAnswer) -> Bool {
        guard case .message(let bytes) = answer.content else { return false }
        return bytes.count > answerBytesMax
    }

    private static func tooLarge(_ answer: ForwardedAnswer) -> ForwardedAnswer {
        let text = "etcdserver: the request was carried out, but its answer is larger than "
        return ForwardedAnswer(
            sequence: answer.sequence, index: answer.index,
            content: .failure(
                RPCStatus(.resourceExhausted, text + "\(answerBytesMax) bytes: ask for less")))
    }

    /// Groups of neighbours, each with one element at least and about `frameBytesMax` bytes at most.
    private static func split<Element>(
        _ elements: [Element], size: (Element) -> Int
    ) -> [ArraySlice<Element>] {
        var groups: [ArraySlice<Element>] = []
        var start = 0
        var bytes = 0
        for (place, element) in elements.enumerated() {
            let more = size(element) + elementBytes
            if place > start, bytes + more > frameBytesMax {
                groups.append(elements[start..<place])
                (start, bytes) = (place, 0)
            }
            bytes += more
        }
        if start < elements.count { groups.append(elements[start...]) }
        return groups
    }

    /// What the numbers and tags of an element take at most.
    private static let elementBytes = 64
}

/// The parts of a list of answers that came so far; confined to its connection's event loop.
final class AnswerParts {
    private var bytes: [UInt8] = []

    /// Keeps a part.
    ///
    /// - Throws: if no honest member sends so much.
    func add(_ part: [UInt8]) throws(WireError) {
        guard bytes.count + part.count <= ForwardFrames.answerBytesMax else { throw .tooManyItems }
        bytes += part
    }

    /// The whole list, with its last bytes.
    func join(_ last: [UInt8]) -> [UInt8] {
        defer { bytes = [] }
        return bytes.isEmpty ? last : bytes + last
    }
}
