// The remaining lifetime of a media link in seconds, and the removal of MinIO's own headers from answers.

function secondsLeft(r) {
    return String(Math.max(0, Number(r.variables.expiry) - Math.floor(Date.now() / 1000)));
}

function withoutStoreHeaders(r) {
    for (const name in r.headersOut) {
        if (/^x-(amz|minio|ratelimit)-/i.test(name)) {
            delete r.headersOut[name];
        }
    }
}

export default { secondsLeft, withoutStoreHeaders };
