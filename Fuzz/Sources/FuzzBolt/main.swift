// main.swift: libFuzzer's driver for the reader of etcd's database files.
// Belongs here: making a file of an input. Never here: expectations of single files (ServerTests).
// An input is the part of a file behind its meta pages: with them, whose checksum no mutation would keep,
// every input reaches the trees. The first two bytes choose the root. A trap or a walk without end is the
// finding; what is read in full is written by our own writer and read again.

import FuzzDriver

@testable import Server

run { input in
    input.withUnsafeBufferPointer { BoltFuzz.read($0) }
}
