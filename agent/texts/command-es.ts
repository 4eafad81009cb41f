/** The same in Spanish as it is spoken in Guatemala. */
import type { commandEn } from './command-en.ts';

/** See the English. */
export const commandEs: Readonly<Record<keyof typeof commandEn, string>> = {
  'agent.notRunning': 'El agente no está corriendo: nadie escucha en {socket}.',
  'agent.silent': 'El agente no responde en {socket}: {why}',
  'agent.silentFor': 'El agente no responde en {socket}: callado por {seconds} s',
  'agent.endless': 'El agente no responde en {socket}: su respuesta no termina',
  'agent.notYours': 'No puede usar {socket}. Es para root y para el grupo del socket.',
  'agent.demo': 'Hay una demostración en esta carpeta. Para usarla, agregue: --socket {socket}',
  'agent.otherVersion':
    'El agente dio una respuesta que este comando no entiende: son de dos versiones.',
  'agent.stranger': 'Lo que escucha allí no habla como el agente.',
  'agent.status': 'El agente respondió con el estado HTTP {status}.',

  'usage.help': '(agregue --help para ver lo que hay)',
  'usage.unknownOption': 'No existe la opción {what}.',
  'usage.unknownCommand': 'No existe el comando {what}.',
  'usage.missingArgument': 'Falta {what}.',
  'usage.optionMissingArgument': 'La opción {what} necesita un valor.',
  'usage.missingMandatoryOptionValue': 'Hace falta la opción {what}.',
  'usage.invalidArgument': '{what} no puede ser {value}.',
  'usage.choices': 'Puede ser: {choices}.',
  'usage.range': 'Tiene que ser un número de {min} a {max}.',
  'usage.currency': 'Tiene que ser un código ISO 4217, por ejemplo GTQ.',
  'usage.excessArguments': 'Eso es más de lo que este comando recibe.',

  'owed.nothing': 'No se debe nada, y no hay nada sin aclarar.',
  'owed.head': '{reference}  {kind}, {state}, hace {age}',
  'owed.noAmount': 'monto desconocido',
  'owed.toDo': 'qué hacer: {what}',
  'owed.closed': 'cerrado {time} por {by}: {reason}',
  'owed.state.open': 'sin cerrar',
  'owed.state.redeeming': 'cobrándose',
  'owed.state.redeemed': 'cobrado',
  'owed.state.reduced': 'cobrado en parte',
  'owed.state.unknown': 'sin aclarar',
  'owed.state.settled': 'arreglado',
  'owed.settled': 'Arreglado. Su código ya no vale.',
  'owed.noneOf': 'No hay nada sin cerrar con {name}.',
  'owed.several': '{name} tiene varios; indique uno por su id:\n  {list}',
  'dispute.written': 'Escrito en {file}.',
  'dispute.exists': '{file} ya existe, y no se escribe encima.',
  'file.unwritten': 'No se puede escribir {file}: {why}',
  'file.unread': 'No se puede leer {file}: {why}',

  'wayOut.remainder':
    'Llene las bandejas: con el código el cajero entrega el resto. O páguelo a mano y márquelo ' +
    'como arreglado.',
  'wayOut.latePayment':
    'Con el código el cajero entrega el efectivo. O devuelva los sats desde la billetera y márquelo ' +
    'como arreglado.',
  'wayOut.doubtfulPayment':
    'Revise el pago en la billetera; pague el efectivo o devuelva los sats a mano; márquelo como ' +
    'arreglado. El código no entrega nada.',
  'wayOut.withdrawRefused':
    'Corrija la causa por la que la billetera se negó (saldo, límite): el código lo pide de nuevo. ' +
    'O pague a mano y márquelo como arreglado.',
  'wayOut.withdrawUnanswered':
    'Ponga a funcionar la billetera: el código lo pide de nuevo. O borre el enlace en la billetera, ' +
    'pague a mano y márquelo como arreglado.',
  'wayOut.surplusLink':
    'Borre ese enlace en la billetera, si no fue cobrado; márquelo como arreglado.',
  'wayOut.creditWithoutIntent':
    'A nadie se le acreditó. Pregunte al fabricante del validador; pague a quien compruebe que el ' +
    'billete era suyo, como el cliente del depósito que se nombra; márquelo como arreglado.',
  'wayOut.noteUnknown':
    'Abra el validador y cuente la caja de billetes. Si el billete está allí, pague a mano; ' +
    'márquelo como arreglado.',
  'wayOut.dispenseUnknown':
    'Cuente las bandejas que se indican y la de rechazo. Lo que falta en ellas salió; pague el ' +
    'resto a mano; márquelo como arreglado.',
  'wayOut.repeatedRestarts':
    'Averigüe por qué el cajero se quedó sin corriente o se detuvo; márquelo como arreglado.',
  'wayOut.restored':
    'Confirme cada reclamo que todavía se debe, marque los demás como arreglados, cuente todas las ' +
    'bandejas; luego marque la restauración como arreglada.',

  'verify.one': 'El registro {from} está íntegro, en orden y firmado por {pubkey}.',
  'verify.several': 'Los registros {from} a {to} están íntegros, en orden y firmados por {pubkey}.',
  'verify.bad': 'NO COMPROBADO ({code}): {reason}',
  'verify.noKey': '{typed} no es una clave pública: dé un npub, o 64 dígitos hexadecimales.',
  'verify.noJson': 'esto no es JSON: {why}',
  'verify.none': 'no contiene ningún registro',
  'verify.malformed': 'el registro {number} del archivo no lo es: {why}',
  'verify.unsigned': 'el registro {number} todavía no está firmado',
  'verify.badSignature': 'la firma del registro {number} no es válida',
  'verify.wrongKey': 'el registro {number} es de la clave {signer}, y no de {pubkey}',
  'verify.tampered': 'el registro {number} fue cambiado después de firmarse',
  'verify.wrongHash': 'el registro {number} lleva el hash de otro',
  'verify.wrongLink': 'el registro {number} está enlazado como si fuera otro',
  'verify.wrongPlace': 'el registro {number} está donde corresponde el {next}',
  'verify.notFollowing': 'el registro {number} no sigue al registro {last}',

  'accept.device.validator': 'Ya se puede usar el validador.',
  'accept.device.dispenser': 'Ya se puede usar el dispensador.',
  'accept.anchor': 'Desde ahora este cajero es el bueno.',

  'documents.none': 'No hay documentos.',
  'documents.in': '{type} (del operador)',
  'documents.out': '{type} (al operador)',
  'documents.written': '  escrito',
  'documents.applied': '  aplicado',
  'documents.event': '  evento',
  'documents.refused': '  rechazado',
  'documents.pending': '  en espera',
  'documents.waits': 'espera a ser publicado',
  'documents.relay': '  relé',
  'documents.never': 'nunca',
  'documents.ago': '{time}, hace {age}',

  'probe.whichPort': 'Indique con --port cuál se observa.',
  'probe.heldPort': 'El agente usa {port}. Deténgalo primero: systemctl stop spire-agent',
  'probe.noProtocol': 'No existe el protocolo {protocol}; hay {known}.',
  'probe.openAct':
    'Se interrumpió un acto ({act}, {device}) y todavía no se sabe cómo terminó. Arranque el agente, ' +
    'que se lo pregunta al dispositivo: systemctl start spire-agent',
  'probe.stateHeld': 'Otro proceso usa {path} y no responde. Deténgalo primero.',
  'probe.portHeld': '{said} Otro programa lo usa.',
  'probe.portMissing': '{said} spire probe los muestra.',
};
