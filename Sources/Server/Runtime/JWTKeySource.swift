// JWTKeySource.swift: the keys of --auth-token, read again when their files change.
// Belongs here: noticing changed files. Never here: reading keys (AuthSettings+Loaded.swift), tokens (Auth/).
// Like certificates (Transport/TLS/TLSContextSource.swift): looked at when they are asked for, at most once a second.
// Unlike a certificate, any part of an HMAC secret is a secret too. So files that change are read only once they have
// not changed for a second, and keys that can't be used leave the old ones in place. Only a rename is safe from a
// writer who pauses for longer.

internal import Logging
internal import Synchronization
internal import Transport

/// The keys of now; any thread may ask.
final class JWTKeySource: Sendable {
    private struct State {
        var keys: JWTKeys
        var stamps: [FileStamp]
        /// What the last look has seen, if it was new and not yet settled.
        var unsettled: [FileStamp]?
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
            let stamps = Self.stamps(setting)
            let former = state.unsettled
            state.unsettled = nil
            guard stamps != state.stamps else { return state.keys }
            // The first look after a long time must not be the one that still takes tokens of the old keys. Where the
            // clock does not tell, a second look does.
            guard stamps == former || stamps.allSatisfy(\.isSettled) else {
                state.unsettled = stamps
                return state.keys
            }
            let result = read()
            // Written while they were read: they are looked at again.
            guard Self.stamps(setting) == stamps else { return state.keys }
            state.stamps = stamps
            switch result {
            case .success(var keys):
                keys.generation = state.keys.generation + 1
                state.keys = keys
                logger.info("the keys of --auth-token were loaded anew: tokens of others end")
            case .failure(let error):
                logger.error(
                    "the keys of --auth-token can't be loaded anew: the old ones stay in use",
                    metadata: ["error": "\(error)"])
            }
            return state.keys
        }
    }

    private func read() -> Result<JWTKeys, ConfigurationError> {
        do throws(ConfigurationError) {
            return .success(try setting.keys())
        } catch {
            return .failure(error)
        }
    }

    private static func stamps(_ setting: JWTSetting) -> [FileStamp] {
        [setting.publicKeyFile, setting.privateKeyFile].filter { !$0.isEmpty }.map {
            FileStamp(path: $0)
        }
    }
}
