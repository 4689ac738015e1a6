// AuthSettings+Loaded.swift: the settings of auth, with the keys they name.
// Belongs here: from paths to keys. Never here: the flags (Configuration/), signatures (Auth/JWTMethod.swift), noticing
// changed files (JWTKeySource.swift).

internal import Logging

extension AuthSettings {
    /// Loads the keys that `--auth-token` names; they follow their files from then on.
    init(_ configuration: Configuration, _ logger: Logger) throws(ConfigurationError) {
        tokenTTLSeconds = UInt64(configuration.authTokenTTLSeconds)
        bcryptCost = configuration.bcryptCost
        trustsCertificates = configuration.clientCertAuth
        switch configuration.authToken {
        case .simple: tokens = .simple
        case .none: tokens = .none
        case .jwt(let setting):
            let source = try JWTKeySource(setting, logger)
            tokens = .jwt(
                JWTProvider(method: setting.method, lifetimeSeconds: setting.lifetimeSeconds) {
                    source.current(at: MonotonicClock.nanoseconds)
                })
        }
    }
}

extension JWTSetting {
    /// Reads the keys and tries them.
    func keys() throws(ConfigurationError) -> JWTKeys {
        guard method.family != .hmac else {
            let secret = try ConfigurationFile.readBytes(privateKeyFile)
            guard !secret.isEmpty else { throw problem(privateKeyFile, "it is empty") }
            let key = JWTKey(secret: secret, method: method)
            return JWTKeys(verifying: key, signing: key)
        }
        let signing =
            privateKeyFile.isEmpty ? nil : try key(privateKeyFile, isPrivate: true, "private")
        let verifying: JWTKey
        if publicKeyFile.isEmpty, let signing {
            verifying = signing
        } else {
            verifying = try key(publicKeyFile, isPrivate: false, "public")
        }
        // Else nobody could ever use what they get here.
        if let signing {
            let message = Array("a pair of keys".utf8)
            guard let signature = signing.sign(message),
                verifying.verifies(signature, of: message)
            else { throw problem(publicKeyFile, "it is not the public key of \(privateKeyFile)") }
        }
        return JWTKeys(verifying: verifying, signing: signing)
    }

    private func key(
        _ path: String, isPrivate: Bool, _ kind: String
    ) throws(ConfigurationError) -> JWTKey {
        let pem = try ConfigurationFile.readBytes(path)
        guard let key = JWTKey(pem: pem, isPrivate: isPrivate, method: method) else {
            throw problem(path, "there is no \(kind) key for \(method.name) in PEM form in it")
        }
        return key
    }

    private func problem(_ path: String, _ text: String) -> ConfigurationError {
        .conflict(text: "--auth-token: \(path): \(text)")
    }
}
