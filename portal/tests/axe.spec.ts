import { EVERYTHING, checkEveryRoom } from './rooms';

checkEveryRoom('light', EVERYTHING);
