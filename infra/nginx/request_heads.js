// Which headers the HTTP parser of the function hosts would refuse, with an empty answer.

// The parser takes 100 headers, of which nginx adds up to seven.
const MOST_HEADERS = 90;
const BAD_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;

function fault(r) {
    const headers = r.rawHeadersIn;
    if (headers.length > MOST_HEADERS) {
        return 'large';
    }
    return headers.some((header) => BAD_VALUE.test(header[1])) ? 'malformed' : '';
}

export default { fault };
