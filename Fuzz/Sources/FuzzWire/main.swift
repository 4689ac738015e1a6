// main.swift: libFuzzer's driver for the hand-written protobuf messages.
// Belongs here: choosing a decoder. Never here: expectations of single inputs (ServerTests).
// The first byte chooses the message. A trap, or a message that encodes to another one, is the finding.

import FuzzDriver

@testable import Server

run { input in
    guard let selector = input.first else { return }
    decodeAny(Array(input.dropFirst()), selector: selector)
}
