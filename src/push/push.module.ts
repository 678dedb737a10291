import { Module } from '@nestjs/common';
import { PushFiles } from './push-files.js';
import { PushSender } from './push-sender.js';

@Module({ providers: [PushFiles, PushSender], exports: [PushFiles, PushSender] })
export class PushModule {}
