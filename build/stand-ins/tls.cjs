exports.connect = (options) => process.getBuiltinModule('node:tls').connect(options)
