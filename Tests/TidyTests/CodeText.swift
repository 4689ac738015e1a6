// CodeText.swift: Swift source without its comments and string contents, so that rules see code
// only. Belongs here: one pass over the bytes. Interpolations inside strings are blanked too: rules
// do not look there.

/// Blanks what is not code; line breaks stay where they are.
enum CodeText {
    static func strip(_ text: String) -> String {
        var scanner = Scanner(Array(text.utf8))
        return scanner.run()
    }

    private struct Scanner {
        private static let newline = UInt8(ascii: "\n")
        private static let quote = UInt8(ascii: "\"")
        private static let pound = UInt8(ascii: "#")
        private static let slash = UInt8(ascii: "/")
        private static let star = UInt8(ascii: "*")
        private static let backslash = UInt8(ascii: "\\")

        private let input: [UInt8]
        private var place = 0
        private var output: [UInt8] = []

        init(_ input: [UInt8]) {
            self.input = input
            output.reserveCapacity(input.count)
        }

        mutating func run() -> String {
            while place < input.count {
                let byte = input[place]
                if byte == Self.slash, byte2 == Self.slash {
                    while place < input.count, input[place] != Self.newline { place += 1 }
                } else if byte == Self.slash, byte2 == Self.star {
                    skipBlockComment()
                } else if byte == Self.quote || byte == Self.pound {
                    skipStringOrTake()
                } else {
                    output.append(byte)
                    place += 1
                }
            }
            return String(decoding: output, as: UTF8.self)
        }

        /// The byte after the present one.
        private var byte2: UInt8 { place + 1 < input.count ? input[place + 1] : 0 }

        private func repeats(_ byte: UInt8, _ count: Int, at start: Int) -> Bool {
            guard start + count <= input.count else { return false }
            for offset in 0..<count where input[start + offset] != byte { return false }
            return true
        }

        private mutating func skipBlockComment() {
            var depth = 0
            repeat {
                if input[place] == Self.slash, byte2 == Self.star {
                    depth += 1
                    place += 2
                } else if input[place] == Self.star, byte2 == Self.slash {
                    depth -= 1
                    place += 2
                } else {
                    keepLineBreak()
                    place += 1
                }
            } while depth > 0 && place < input.count
        }

        private mutating func skipStringOrTake() {
            var pounds = 0
            while place + pounds < input.count, input[place + pounds] == Self.pound { pounds += 1 }
            guard repeats(Self.quote, 1, at: place + pounds) else {
                output += input[place..<place + pounds]
                place += pounds
                return
            }
            let quotes = repeats(Self.quote, 3, at: place + pounds) ? 3 : 1
            place += pounds + quotes
            output += [Self.quote, Self.quote]
            while place < input.count {
                if repeats(Self.quote, quotes, at: place),
                    repeats(Self.pound, pounds, at: place + quotes)
                {
                    place += quotes + pounds
                    return
                }
                // An escape hides the byte after it; with pounds only an escape that has them too.
                if input[place] == Self.backslash, repeats(Self.pound, pounds, at: place + 1) {
                    place += pounds + 1
                }
                guard place < input.count else { return }
                keepLineBreak()
                place += 1
            }
        }

        private mutating func keepLineBreak() {
            if input[place] == Self.newline { output.append(Self.newline) }
        }
    }
}
