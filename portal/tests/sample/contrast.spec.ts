import { COLOURS, checkEveryRoom } from '../rooms';

checkEveryRoom('dark', COLOURS);
checkEveryRoom('contrast', COLOURS);
