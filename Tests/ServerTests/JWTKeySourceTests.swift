// JWTKeySourceTests.swift: keys of tokens follow their files, but not while somebody writes them.
// Belongs here: JWTKeySource on real files. Never here: tokens (AuthTests), a server (Tests/Conformance).

import Glibc
import Logging
import Storage
import Testing
import Transport

@testable import Server

@Suite struct JWTKeySourceTests {
    /// A secret in a directory of its own, and the source that follows it.
    private final class Rig {
        let directory: String
        let file: String
        let source: JWTKeySource
        private var clock: UInt64 = 0

        init(_ text: String) throws {
            var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
            try #require(mkdtemp(&template) != nil)
            directory = String(
                decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
            file = "\(directory)/secret"
            try Self.write(text, to: file)
            let flag = "jwt,sign-method=HS256,priv-key=\(file)"
            guard case .jwt(let setting) = try AuthTokenSetting(flag) else {
                throw ConfigurationError.conflict(text: flag)
            }
            source = try JWTKeySource(
                setting, Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }

        deinit {
            for name in ["secret", "next"] { unlink("\(directory)/\(name)") }
            rmdir(directory)
        }

        static func write(_ text: String, to path: String) throws {
            // The bytes go into the same file, as editors and scripts do.
            let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            try #require(descriptor >= 0)
            defer { close(descriptor) }
            let bytes = Array(text.utf8)
            try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        }

        /// Looks, a second after the last look, and says whether a secret is the key.
        func looks(as text: String) throws -> Bool {
            clock += 1_000_000_000
            return try isKey(text)
        }

        func isKey(_ text: String) throws -> Bool {
            let method = try #require(JWTMethod("HS256"))
            let message = Array("message".utf8)
            let signature = try #require(
                JWTKey(secret: Array(text.utf8), method: method).sign(message))
            return source.current(at: clock).verifying.verifies(signature, of: message)
        }

        var generation: UInt64 { source.current(at: clock).generation }
    }

    @Test("keys: a file that changes is taken at the second look that finds it the same")
    func settled() throws {
        let rig = try Rig("first")
        #expect(try rig.looks(as: "first"))
        try Rig.write("second secret", to: rig.file)
        #expect(try rig.looks(as: "first"))
        // Within the second nothing is looked at.
        #expect(try rig.isKey("first"))
        #expect(try rig.looks(as: "second secret") && rig.generation == 1)
        #expect(try !rig.isKey("first"))
    }

    @Test("keys: no part of a secret that is being written is ever the key")
    func halfWritten() throws {
        let rig = try Rig("first")
        for text in ["s", "second", "second sec", "second secret"] {
            try Rig.write(text, to: rig.file)
            #expect(try rig.looks(as: "first"), "after \(text)")
        }
        #expect(try rig.looks(as: "second secret") && rig.generation == 1)
    }

    @Test("keys: a file that is empty, or gone, leaves the former key in place")
    func unusable() throws {
        let rig = try Rig("first")
        try Rig.write("", to: rig.file)
        for _ in 0..<3 { #expect(try rig.looks(as: "first")) }
        unlink(rig.file)
        for _ in 0..<3 { #expect(try rig.looks(as: "first")) }
        #expect(rig.generation == 0)
        try Rig.write("second", to: rig.file)
        #expect(try rig.looks(as: "first"))
        #expect(try rig.looks(as: "second"))
    }

    @Test("keys: what changed and came back is no change")
    func unchanged() throws {
        let rig = try Rig("first")
        #expect(rename(rig.file, "\(rig.directory)/next") == 0)
        #expect(try rig.looks(as: "first"))
        #expect(rename("\(rig.directory)/next", rig.file) == 0)
        #expect(try rig.looks(as: "first") && rig.looks(as: "first") && rig.generation == 0)
    }

    @Test("keys: a file that is older than a second is taken at the first look")
    func old() throws {
        let rig = try Rig("first")
        unlink(rig.file)
        // The source of this test was written before it was compiled.
        let disk = PosixDisk()
        let old = try disk.open(#filePath, create: false)
        var bytes = [UInt8](repeating: 0, count: Int(try old.size()))
        try old.read(into: &bytes, at: 0)
        #expect(symlink(#filePath, rig.file) == 0)
        #expect(try rig.looks(as: String(decoding: bytes, as: UTF8.self)))
    }

    @Test("stamps: a file is settled a second after its last change, by the clock that stamps it")
    func stamps() throws {
        let rig = try Rig("first")
        let now = FileStamp.now
        #expect(FileStamp(path: rig.file, at: (now.seconds + 5, 0)).isSettled)
        #expect(!FileStamp(path: rig.file, at: (now.seconds - 5, 0)).isSettled)
        #expect(FileStamp(path: rig.file, at: (0, 0)) == FileStamp(path: rig.file))
        #expect(!FileStamp(path: "\(rig.directory)/none").isSettled)
    }
}
