// main.swift: libFuzzer's driver for the reader of etcd's database files.
// Belongs here: making a file of an input. Never here: expectations of single files (ServerTests).
// An input is the part of a file behind its meta pages: with them, whose checksum no mutation would keep,
// every input reaches the trees. The first two bytes choose the root. A trap or a walk without end is the
// finding; what is read in full is written by our own writer and read again.

import Bolt

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
            BoltFuzz.read(UnsafeBufferPointer(start: bytes, count: size))
            return 0
        }
    }
}
precondition(result == 0, "the fuzzer ended with \(result)")
