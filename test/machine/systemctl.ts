/** `systemctl` for plain processes: says its words to whoever stands in, and ends as told. */
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

const [path = '', ...words] = process.argv.slice(2);
const socket = connect(path);
socket.end(JSON.stringify(words));
process.exitCode = Number(await text(socket));
