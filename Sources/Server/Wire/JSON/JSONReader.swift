// JSONReader.swift: reads JSON from the bytes of a body, token by token.
// Belongs here: the grammar and its bounds. Never here: messages (JSONDecoder.swift).
// Source: RFC 8259. Strict: no comments, no trailing commas, no leading zeros, only UTF-8.
// Invariants: offset <= bytes.count; it never goes back.

struct JSONReader {
    let bytes: [UInt8]
    private(set) var offset = 0
    private var depth = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    // MARK: structure

    /// Whether only white space is left.
    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return offset == bytes.count
        }
    }

    /// The first byte of the next token.
    mutating func peek() throws(JSONError) -> UInt8 {
        skipSpace()
        guard offset < bytes.count else { throw .truncated }
        return bytes[offset]
    }

    /// The byte that comes next, if there is one.
    var nextByte: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    /// Takes one byte of punctuation.
    mutating func expect(_ byte: Character) throws(JSONError) {
        let found = try peek()
        guard found == byte.asciiValue else {
            throw .unexpected(offset: offset, expected: "'\(byte)'")
        }
        offset += 1
    }

    /// Takes one byte of punctuation if it comes next.
    mutating func take(_ byte: Character) throws(JSONError) -> Bool {
        guard try peek() == byte.asciiValue else { return false }
        offset += 1
        return true
    }

    /// Enters an object or a list.
    mutating func open(_ byte: Character) throws(JSONError) {
        try expect(byte)
        depth += 1
        guard depth <= JSONLimits.depthMax else { throw .tooDeep(offset: offset - 1) }
    }

    /// Leaves an object or a list.
    mutating func close() { depth -= 1 }

    /// Whether another member follows, after the first with its comma; else the closing byte is
    /// taken.
    mutating func hasNext(_ closing: Character, isFirst: Bool) throws(JSONError) -> Bool {
        if try take(closing) {
            close()
            return false
        }
        if isFirst { return true }
        try expect(",")
        return true
    }

    /// Takes a word if it comes next.
    mutating func take(word: StaticString) -> Bool {
        skipSpace()
        let count = word.utf8CodeUnitCount
        guard bytes.count - offset >= count else { return false }
        for place in 0..<count where bytes[offset + place] != word.utf8Start[place] {
            return false
        }
        offset += count
        return true
    }

    // MARK: values

    /// A text, its escapes resolved.
    mutating func text() throws(JSONError) -> String {
        let start = offset
        let raw = try rawText()
        guard let text = String(validating: raw, as: UTF8.self) else {
            throw .badText(offset: start)
        }
        return text
    }

    /// The bytes of a text, its escapes resolved, not yet known to be UTF-8.
    mutating func rawText() throws(JSONError) -> [UInt8] {
        try expect("\"")
        let start = offset
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte == UInt8(ascii: "\"") {
                defer { offset += 1 }
                return Array(bytes[start..<offset])
            }
            guard byte >= 0x20 else { throw .unexpected(offset: offset, expected: "an escape") }
            if byte == UInt8(ascii: "\\") { return try escapedText(from: start) }
            offset += 1
        }
        throw .truncated
    }

    private mutating func escapedText(from start: Int) throws(JSONError) -> [UInt8] {
        var text = Array(bytes[start..<offset])
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            switch byte {
            case UInt8(ascii: "\""): return text
            case 0..<0x20: throw .unexpected(offset: offset - 1, expected: "an escape")
            case UInt8(ascii: "\\"): try escape(into: &text)
            default: text.append(byte)
            }
        }
        throw .truncated
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard offset < bytes.count else { throw .truncated }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            let start = offset - 2
            var number = try hexNumber()
            if (0xd800..<0xdc00).contains(number) {
                guard take(raw: "\\u") else { throw .badText(offset: start) }
                let low = try hexNumber()
                guard (0xdc00..<0xe000).contains(low) else { throw .badText(offset: start) }
                number = 0x10000 + (number - 0xd800) << 10 + (low - 0xdc00)
            }
            guard let scalar = Unicode.Scalar(number) else { throw .badText(offset: start) }
            text.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
        default: throw .unexpected(offset: offset - 1, expected: "an escape")
        }
    }

    private mutating func take(raw: StaticString) -> Bool {
        for place in 0..<raw.utf8CodeUnitCount {
            guard offset + place < bytes.count, bytes[offset + place] == raw.utf8Start[place] else {
                return false
            }
        }
        offset += raw.utf8CodeUnitCount
        return true
    }

    private mutating func hexNumber() throws(JSONError) -> UInt32 {
        guard bytes.count - offset >= 4 else { throw .truncated }
        var number: UInt32 = 0
        for _ in 0..<4 {
            let digit: UInt8
            switch bytes[offset] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = bytes[offset] - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                digit = bytes[offset] - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"):
                digit = bytes[offset] - UInt8(ascii: "A") + 10
            default: throw .unexpected(offset: offset, expected: "a hexadecimal digit")
            }
            number = number << 4 | UInt32(digit)
            offset += 1
        }
        return number
    }

    /// The bytes of a number, whose grammar is checked.
    mutating func number() throws(JSONError) -> ArraySlice<UInt8> {
        _ = try peek()
        let start = offset
        let isNumber: (UInt8) -> Bool = {
            switch $0 {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"),
                UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
                true
            default: false
            }
        }
        while offset < bytes.count, isNumber(bytes[offset]) { offset += 1 }
        let slice = bytes[start..<offset]
        guard JSONNumber(slice) != nil else {
            throw .unexpected(offset: start, expected: "a value")
        }
        return slice
    }

    /// Passes over one value of any kind.
    ///
    /// The kinds of what is open are kept as a list, not on the stack: depth costs a byte each.
    mutating func skipValue() throws(JSONError) {
        var isObject: [Bool] = []
        repeat {
            switch try peek() {
            case UInt8(ascii: "{"):
                try open("{")
                isObject.append(true)
                if try hasNext("}", isFirst: true) {
                    try skipName()
                    continue
                }
                isObject.removeLast()
            case UInt8(ascii: "["):
                try open("[")
                isObject.append(false)
                if try hasNext("]", isFirst: true) { continue }
                isObject.removeLast()
            case UInt8(ascii: "\""): _ = try text()
            default:
                if take(word: "true") || take(word: "false") || take(word: "null") { break }
                _ = try number()
            }
            // A value is complete: so may be what holds it.
            while let inner = isObject.last {
                guard try hasNext(inner ? "}" : "]", isFirst: false) else {
                    isObject.removeLast()
                    continue
                }
                if inner { try skipName() }
                break
            }
        } while !isObject.isEmpty
    }

    private mutating func skipName() throws(JSONError) {
        _ = try text()
        try expect(":")
    }

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0a, 0x0d: offset += 1
            default: return
            }
        }
    }
}
