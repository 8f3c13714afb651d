/** The two steps of every ceremony, for each kind of object that people sign. */

import { AREA_CEREMONY } from '../ceremony/area.ts';
import { assembleCommand, signCommand } from '../ceremony/commands.ts';
import { ONLINE_KEYS_CEREMONY } from '../ceremony/online-keys.ts';
import { ROOT_CEREMONY } from '../ceremony/root.ts';
import type { Command } from '../command.ts';

export const rootSign: Command = signCommand(ROOT_CEREMONY);
export const rootAssemble: Command = assembleCommand(ROOT_CEREMONY);
export const areaSign: Command = signCommand(AREA_CEREMONY);
export const areaAssemble: Command = assembleCommand(AREA_CEREMONY);
export const onlineKeysSign: Command = signCommand(ONLINE_KEYS_CEREMONY);
export const onlineKeysAssemble: Command = assembleCommand(ONLINE_KEYS_CEREMONY);
