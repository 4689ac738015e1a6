// main.swift: libFuzzer's driver for the JSON of the gateway.
// Belongs here: choosing a message. Never here: expectations of single inputs (ServerTests).
// The first byte chooses the message. A trap, or a message that comes back as another one, is the finding.

import FuzzDriver

@testable import Server

run { input in
    guard let selector = input.first else { return }
    transcodeAny(Array(input.dropFirst()), selector: selector)
}
