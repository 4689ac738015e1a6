// Driver.swift: libFuzzer's loop around one test.
// Belongs here: calling it. Never here: what is tested (the fuzzers).
// libFuzzer takes a C function, which can't carry a closure: the test is kept beside it.

import Synchronization

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

private let installed = Mutex<(@Sendable ([UInt8]) -> Void)?>(nil)

/// Runs a test over inputs as the process's arguments ask for, and ends the process.
///
/// - Parameter test: A trap in it is the finding.
public func run(_ test: @escaping @Sendable ([UInt8]) -> Void) {
    installed.withLock { $0 = test }
    var count = CommandLine.argc
    var arguments = CommandLine.unsafeArgv
    let result = withUnsafeMutablePointer(to: &arguments) { arguments in
        arguments.withMemoryRebound(
            to: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.self, capacity: 1
        ) { arguments in
            runDriver(&count, arguments) { bytes, size in
                let test = installed.withLock { $0 }
                test?(Array(UnsafeBufferPointer(start: bytes, count: size)))
                return 0
            }
        }
    }
    precondition(result == 0, "the fuzzer ended with \(result)")
}
