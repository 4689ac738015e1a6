// main.swift: libFuzzer's driver for the JSON of the gateway.
// Belongs here: choosing a message. Never here: expectations of single inputs (ServerTests).
// The first byte chooses the message. A trap, or a message that comes back as another one, is the finding.

import Wire

@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
let result = withUnsafeMutablePointer(to: &arguments) { arguments in
    arguments.withMemoryRebound(
        to: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.self, capacity: 1
    ) { arguments in
        runDriver(&count, arguments) { bytes, size in
            let input = Array(UnsafeBufferPointer(start: bytes, count: size))
            guard let selector = input.first else { return 0 }
            transcodeAny(Array(input.dropFirst()), selector: selector)
            return 0
        }
    }
}
precondition(result == 0, "the fuzzer ended with \(result)")
