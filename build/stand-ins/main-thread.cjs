// Listeners and the supervisor are main threads.
exports.isMainThread = true
