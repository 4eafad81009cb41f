/** What the commands say that a technician may give, beside `service`, `status` and `doctor`. */
export const commandEn = {
  'agent.notRunning': 'The agent is not running: nobody listens on {socket}.',
  'agent.silent': 'The agent does not answer on {socket}: {why}',
  'agent.silentFor': 'The agent does not answer on {socket}: silent for {seconds} s',
  'agent.endless': 'The agent does not answer on {socket}: its answer has no end',
  'agent.notYours': 'You may not use {socket}. It is for root and for the group of the socket.',
  'agent.demo': 'There is a demo in this folder. To ask it, add: --socket {socket}',
  'agent.otherVersion':
    'The agent gave an answer that this command does not understand: they are of two versions.',
  'agent.stranger': 'What listens there does not speak as the agent does.',
  'agent.status': 'The agent answered with HTTP status {status}.',

  'usage.help': '(add --help for what there is)',
  'usage.unknownOption': 'There is no option {what}.',
  'usage.unknownCommand': 'There is no command {what}.',
  'usage.missingArgument': '{what} is missing.',
  'usage.optionMissingArgument': 'Option {what} needs a value.',
  'usage.missingMandatoryOptionValue': 'Option {what} is needed.',
  'usage.invalidArgument': '{what} cannot be {value}.',
  'usage.choices': 'It can be: {choices}.',
  'usage.range': 'It has to be a number from {min} to {max}.',
  'usage.currency': 'It has to be an ISO 4217 code such as USD.',
  'usage.excessArguments': 'That is more than this command takes.',

  'owed.nothing': 'Nothing is owed, and nothing is unknown.',
  'owed.head': '{reference}  {kind}, {state}, {age} old',
  'owed.noAmount': 'amount unknown',
  'owed.toDo': 'to do: {what}',
  'owed.closed': 'closed {time} by {by}: {reason}',
  'owed.state.open': 'open',
  'owed.state.redeeming': 'redeeming',
  'owed.state.redeemed': 'redeemed',
  'owed.state.reduced': 'reduced',
  'owed.state.unknown': 'unknown',
  'owed.state.settled': 'settled',
  'owed.settled': 'Settled. Its claim code is void.',
  'owed.noneOf': 'Nothing is open under {name}.',
  'owed.several': '{name} has several; name one by its id:\n  {list}',
  'dispute.written': 'Written to {file}.',
  'dispute.exists': '{file} is there already, and is not written over.',
  'file.unwritten': 'Cannot write {file}: {why}',
  'file.unread': 'Cannot read {file}: {why}',

  'wayOut.remainder':
    'Fill the bays: the code then brings the rest at the machine. Or pay it by hand, and settle it.',
  'wayOut.latePayment':
    'The code brings the cash at the machine. Or give the sats back from the wallet, and settle it.',
  'wayOut.doubtfulPayment':
    'Look at the payment in the wallet; pay the cash or give the sats back by hand; settle it. The ' +
    'code hands out nothing.',
  'wayOut.withdrawRefused':
    'Mend what the wallet refused for (balance, cap): the code then asks again. Or pay by hand, and ' +
    'settle it.',
  'wayOut.withdrawUnanswered':
    'Bring the wallet back: the code asks again. Or delete the link in the wallet, pay by hand, and ' +
    'settle it.',
  'wayOut.surplusLink': 'Delete that link in the wallet, unless it was claimed; settle it.',
  'wayOut.creditWithoutIntent':
    'Nobody was credited. Ask the validator’s maker; pay whoever proves the note, as the customer of ' +
    'the cash-in that is named; settle it.',
  'wayOut.noteUnknown':
    'Open the validator and count the cash box. If the note is there, pay by hand; settle it.',
  'wayOut.dispenseUnknown':
    'Count the bays that are named and the reject tray. What is missing in them came out; pay the ' +
    'rest by hand; settle it.',
  'wayOut.repeatedRestarts': 'Find out why the machine lost power or ended; settle it.',
  'wayOut.restored':
    'Confirm each claim that is still due, settle the others, count every bay; then settle the ' +
    'restore.',

  'verify.one': 'Record {from} is whole, in order, and signed by {pubkey}.',
  'verify.several': 'Records {from} to {to} are whole, in order, and signed by {pubkey}.',
  'verify.bad': 'NOT PROVEN ({code}): {reason}',
  'verify.noKey': '{typed} is no public key: give an npub, or 64 hex digits.',
  'verify.noJson': 'this is no JSON: {why}',
  'verify.none': 'there is no record in it',
  'verify.malformed': 'record {number} of the file is none: {why}',
  'verify.unsigned': 'record {number} was not signed yet',
  'verify.badSignature': 'the signature of record {number} is not good',
  'verify.wrongKey': 'record {number} is of key {signer}, and not of {pubkey}',
  'verify.tampered': 'record {number} was changed after it was signed',
  'verify.wrongHash': 'record {number} carries the hash of another one',
  'verify.wrongLink': 'record {number} is linked as another one',
  'verify.wrongPlace': 'record {number} stands where {next} belongs',
  'verify.notFollowing': 'record {number} does not follow record {last}',

  'accept.device.validator': 'The validator may be used.',
  'accept.device.dispenser': 'The dispenser may be used.',
  'accept.anchor': 'This machine is the right one from now on.',

  'documents.none': 'No documents.',
  'documents.in': '{type} (from the operator)',
  'documents.out': '{type} (to the operator)',
  'documents.written': '  written',
  'documents.applied': '  applied',
  'documents.event': '  event',
  'documents.refused': '  refused',
  'documents.pending': '  pending',
  'documents.waits': 'waits to be published',
  'documents.relay': '  relay',
  'documents.never': 'never',
  'documents.ago': '{time}, {age} ago',

  'probe.whichPort': 'Say which --port to watch.',
  'probe.heldPort': 'The agent holds {port}. Stop it first: systemctl stop spire-agent',
  'probe.noProtocol': 'There is no protocol {protocol}; there are {known}.',
  'probe.openAct':
    'A {act} on the {device} was cut off, and what became of it is not known yet. Start the agent, ' +
    'which asks the device: systemctl start spire-agent',
  'probe.stateHeld': 'Another process holds {path} and does not answer. Stop it first.',
  'probe.portHeld': '{said} Another program has it.',
  'probe.portMissing': '{said} spire probe lists them.',
} as const;
