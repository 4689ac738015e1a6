// AuthSettings+Loaded.swift: the settings of auth, with the keys they name.
// Belongs here: from paths to keys. Never here: the flags (Configuration/), signatures (Auth/JWTMethod.swift).

extension AuthSettings {
    /// Loads the keys that `--auth-token` names.
    init(_ configuration: Configuration) throws(ConfigurationError) {
        tokenTTLSeconds = UInt64(configuration.authTokenTTLSeconds)
        bcryptCost = configuration.bcryptCost
        trustsCertificates = configuration.clientCertAuth
        switch configuration.authToken {
        case .simple: tokens = .simple
        case .none: tokens = .none
        case .jwt(let setting): tokens = .jwt(try setting.provider())
        }
    }
}

extension JWTSetting {
    fileprivate func provider() throws(ConfigurationError) -> JWTProvider {
        guard method.family != .hmac else {
            let secret = try ConfigurationFile.readBytes(privateKeyFile)
            guard !secret.isEmpty else { throw problem(privateKeyFile, "it is empty") }
            let key = JWTKey(secret: secret, method: method)
            return JWTProvider(
                method: method, verifying: key, signing: key, lifetimeSeconds: lifetimeSeconds)
        }
        let signing =
            privateKeyFile.isEmpty ? nil : try key(privateKeyFile, isPrivate: true, "private")
        let verifying: JWTKey
        if publicKeyFile.isEmpty, let signing {
            verifying = signing
        } else {
            verifying = try key(publicKeyFile, isPrivate: false, "public")
        }
        let provider = JWTProvider(
            method: method, verifying: verifying, signing: signing,
            lifetimeSeconds: lifetimeSeconds)
        // Else nobody could ever use what they get here.
        if let signing {
            let message = Array("a pair of keys".utf8)
            guard let signature = signing.sign(message),
                verifying.verifies(signature, of: message)
            else { throw problem(publicKeyFile, "it is not the public key of \(privateKeyFile)") }
        }
        return provider
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
