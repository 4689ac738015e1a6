// JWTKeySource.swift: the keys of --auth-token, read again when their files change.
// Belongs here: noticing changed files. Never here: reading keys (AuthSettings+Loaded.swift), tokens (Auth/).
// Like certificates (Transport/TLS/TLSContextSource.swift): looked at when they are asked for, at most once a second.
// Keys that can't be used leave the old ones in place: nobody is locked out by a file that is half written.

internal import Logging
internal import Synchronization
internal import Transport

/// The keys of now; any thread may ask.
final class JWTKeySource: Sendable {
    private struct State {
        var keys: JWTKeys
        var stamps: [FileStamp]
        var checkedNanoseconds: UInt64 = 0
    }

    private static let checkNanoseconds: UInt64 = 1_000_000_000
    private let setting: JWTSetting
    private let logger: Logger
    private let state: Mutex<State>

    /// Reads the keys for the first time.
    init(_ setting: JWTSetting, _ logger: Logger) throws(ConfigurationError) {
        self.setting = setting
        self.logger = logger
        let stamps = Self.stamps(setting)
        state = Mutex(State(keys: try setting.keys(), stamps: stamps))
    }

    /// The keys at a time of the monotonic clock.
    func current(at now: UInt64) -> JWTKeys {
        state.withLock { state in
            guard now >= state.checkedNanoseconds + Self.checkNanoseconds else { return state.keys }
            state.checkedNanoseconds = now
            // Before the files are read: what changes while they are, is seen the next time.
            let stamps = Self.stamps(setting)
            guard stamps != state.stamps else { return state.keys }
            state.stamps = stamps
            do throws(ConfigurationError) {
                var keys = try setting.keys()
                keys.generation = state.keys.generation + 1
                state.keys = keys
                logger.info("the keys of --auth-token were loaded anew: tokens of others end")
            } catch {
                logger.error(
                    "the keys of --auth-token can't be loaded anew: the old ones stay in use",
                    metadata: ["error": "\(error)"])
            }
            return state.keys
        }
    }

    private static func stamps(_ setting: JWTSetting) -> [FileStamp] {
        [setting.publicKeyFile, setting.privateKeyFile].filter { !$0.isEmpty }.map {
            FileStamp(path: $0)
        }
    }
}
